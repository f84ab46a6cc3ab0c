"""Where Dagster keeps its state, and what its processes are told about it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from dbplanmon_pipeline.errors import DbPlanMonError

INSTANCE_FILE = "dagster.yaml"
LOCATION = "dbplanmon"


class AlreadyRunning(DbPlanMonError):
    """Another process looks after this state folder."""


@dataclass(frozen=True, slots=True)
class DagsterHome:
    """Attributes: folder with dagster.yaml, and our own folder for the files of `dbplanmon up`; both absolute."""

    folder: Path
    own: Path

    @property
    def workspace_file(self) -> Path:
        """Tells daemon and webserver where the code server is."""
        return self.own / "workspace.yaml"

    @property
    def log_file(self) -> Path:
        """What the children said."""
        return self.own / "up.log"

    @property
    def status_file(self) -> Path:
        """Present while it runs: address and process id."""
        return status_file(self.own.parent)

    def write_workspace(self, port: int) -> None:
        """Point daemon and webserver to the code server on this port."""
        self.workspace_file.write_text(
            f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {port}\n"
            f"      location_name: {LOCATION}\n",
            encoding="utf-8",
        )

    def variables(self, config: Path | None) -> dict[str, str]:
        """Variables of the children: they must find the settings and the state that this process found."""
        chosen = {"DAGSTER_HOME": str(self.folder), "DBPLANMON_STATE": str(self.own.parent), "PYTHONUNBUFFERED": "1"}
        return chosen if config is None else {**chosen, "DBPLANMON_CONFIG": str(config.absolute())}


def status_file(state_dir: Path) -> Path:
    """Where `dbplanmon up` of a state folder says that it runs."""
    return state_dir / "up" / "up.json"


def serve_file(state_dir: Path) -> Path:
    """Where `dbplanmon serve` of a state folder says that it runs."""
    return state_dir / "serve.json"


def find_home(state_dir: Path, environ: Mapping[str, str], cwd: Path) -> DagsterHome:
    """DAGSTER_HOME, else the working directory where it holds dagster.yaml, else the state folder; made as needed.

    The state folder gets a dagster.yaml from our template unless it has one. A home that somebody else chose is
    left as it is.

    Raises:
        OSError: a folder cannot be made.
    """
    state = state_dir.absolute()
    own = state / "up"
    own.mkdir(parents=True, exist_ok=True)
    if environ.get("DAGSTER_HOME"):
        folder = cwd / Path(environ["DAGSTER_HOME"]).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        return DagsterHome(folder, own)
    if (cwd / INSTANCE_FILE).is_file():
        return DagsterHome(cwd, own)
    if not (state / INSTANCE_FILE).exists():
        (state / INSTANCE_FILE).write_text(instance_yaml(state / "dagster"), encoding="utf-8")
    return DagsterHome(state, own)


def instance_yaml(base: Path) -> str:
    """The shipped dagster.yaml with its state under an absolute folder."""
    template = files("dbplanmon_pipeline.cli.running").joinpath("dagster.yaml.template").read_text("utf-8")
    # JSON strings are YAML strings, whatever stands in the path.
    names = {"base_folder": json.dumps(str(base)), "logs_folder": json.dumps(str(base / "logs"))}
    return Template(template).substitute(names)


@contextmanager
def only_one(home: DagsterHome) -> Iterator[None]:
    """Hold the lock of the state folder.

    Raises:
        AlreadyRunning: another process holds it.
    """
    import fcntl  # noqa: PLC0415 - not there on Windows, where only this command cannot run

    with (home.own / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"dbplanmon up already runs with the state folder {home.own.parent}") from None
        yield
