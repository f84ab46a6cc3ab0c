"""`python -m dbplanmon_pipeline` is `dbplanmon`."""

from dbplanmon_pipeline.cli import main

if __name__ == "__main__":
    main()
