"""`dbplanmon`: the use cases of the Dagster definitions, without the UI."""

from dbplanmon_pipeline.cli.root import dbplanmon

__all__ = ["dbplanmon", "main"]


def main() -> None:
    """Run the command line of this process; ends the process with its exit code."""
    dbplanmon(prog_name="dbplanmon")
