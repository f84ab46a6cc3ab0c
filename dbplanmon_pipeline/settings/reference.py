"""Writes the reference: `python -m dbplanmon_pipeline.settings.reference [FILE]`, by default docs/settings.md."""

import sys
from pathlib import Path

from dbplanmon_pipeline.settings.tables import reference_markdown

DEFAULT_TARGET = Path("docs/settings.md")


def main(arguments: list[str]) -> None:
    """Write the page to the file named first, else to `DEFAULT_TARGET` in the working directory."""
    target = Path(arguments[0]) if arguments else DEFAULT_TARGET
    target.write_text(reference_markdown(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
