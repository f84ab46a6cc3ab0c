"""`dbplanmon up` itself, with the code location of the soak run in place of the one of the package."""

from dbplanmon_pipeline.cli import main
from dbplanmon_pipeline.cli.running import supervisor

if __name__ == "__main__":
    supervisor.MODULE = "dbplanmon_pipeline_tests.soak.location"
    main()
