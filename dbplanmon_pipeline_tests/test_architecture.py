"""Who may import whom, what the core may not touch, and what an import of the code location may not do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "dbplanmon_pipeline"
SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))
LONGEST_MODULE = 400
LONG_ON_PURPOSE = ("store.migrations.versions.",)
"""Migrations write every table out."""

IO_CALLS = {
    "open",
    "input",
    "print",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.perf_counter",
    "time.sleep",
}
UNSEEDED = ("random.", "np.random.", "numpy.random.", "secrets.", "uuid.uuid1", "uuid.uuid4", "os.urandom")
IO_MODULES = {"socket", "subprocess", "urllib", "http", "shutil", "tempfile", "sqlite3", "logging", "os", "threading"}

ANY_LIBRARY = None


@dataclass(frozen=True)
class Room:
    """What one folder may import: rooms of ours, and libraries (None: any; the standard library always)."""

    rooms: frozenset[str]
    libraries: frozenset[str] | None


def room(rooms: str, libraries: str | None) -> Room:
    return Room(frozenset(rooms.split()), None if libraries is None else frozenset(libraries.split()))


INNER = "core errors"
ROOMS = {
    "errors": room("errors", ""),
    "core": room(INNER, "numpy pandas lxml"),
    "services": room(f"{INNER} services", "numpy pandas"),
    "providers.postgres": room(f"{INNER} providers.postgres providers.open_sessions", "numpy psycopg"),
    "providers.simulated": room(f"{INNER} providers.simulated", "numpy"),
    "providers.sqlserver": room(f"{INNER} providers.sqlserver providers.open_sessions", "numpy lxml pyodbc"),
    "providers.open_sessions": room("", ""),
    "providers": room("", ""),
    "store": room(f"{INNER} store", "numpy pandas sqlalchemy alembic psycopg pyarrow fsspec zstandard"),
    "notify": room(f"{INNER} notify", "apprise httpx"),
    "settings": room(f"{INNER} settings", "annotated_types pydantic pydantic_core yaml keyring"),
    "defs": room(f"{INNER} services settings composition defs", "dagster pydantic numpy matplotlib"),
    "web": room(
        f"{INNER} services settings composition logs telemetry web",
        "starlette uvicorn jinja2 markupsafe prometheus_client numpy pandas",
    ),
    "reports": room(f"{INNER} services web.charts web.foreign_text reports", "jinja2 markupsafe numpy"),
    "telemetry": room("errors settings telemetry", "opentelemetry"),
    "logs": room(f"{INNER} logs settings", ""),
    "testing": room(INNER, ""),
}
"""A module belongs to the longest name it begins with; what is not listed decides nothing and may import anything."""


@dataclass(frozen=True)
class Import:
    source: Path
    line: int
    module: str

    @property
    def ours(self) -> bool:
        return self.module.split(".")[0] == PACKAGE

    @property
    def inside(self) -> str:
        """`core.model` for `dbplanmon_pipeline.core.model`."""
        return self.module.partition(".")[2]

    def __str__(self) -> str:
        return f"{self.source.relative_to(ROOT)}:{self.line} imports {self.module}"


def place(source: Path) -> str:
    """`core.verdict.model`, or `core` for its `__init__`."""
    parts = source.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def belongs(module: str, room_name: str) -> bool:
    return module == room_name or module.startswith(f"{room_name}.")


def room_of(module: str) -> Room | None:
    names = [name for name in ROOMS if belongs(module, name)]
    return ROOMS[max(names, key=len)] if names else None


def tree_of(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"), str(source))


def imports_of(source: Path) -> Iterator[Import]:
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Import):
            yield from (Import(source, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno}: imports are absolute"
            base = node.module or ""
            whole = base == PACKAGE or base.startswith(f"{PACKAGE}.")
            # `from package.settings import environment` names a module below the one it names first.
            yield from (Import(source, node.lineno, f"{base}.{alias.name}" if whole else base) for alias in node.names)


@cache
def every_import() -> list[Import]:
    """Of all modules; kept, as several rules look at them and parsing the package costs a second."""
    return [found for source in SOURCES for found in imports_of(source)]


def allowed(found: Import, mine: Room) -> bool:
    if found.ours:
        return any(belongs(found.inside, name) for name in mine.rooms)
    top = found.module.split(".")[0]
    return top in sys.stdlib_module_names or mine.libraries is ANY_LIBRARY or top in mine.libraries


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def test_there_is_something_to_look_at() -> None:
    assert {"core.model", "services.collect", "defs.sensors", "store.schema"} <= {place(source) for source in SOURCES}


def test_every_room_imports_only_what_the_house_allows() -> None:
    wrong = [
        str(found)
        for found in every_import()
        if (mine := room_of(place(found.source))) is not None and not allowed(found, mine)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        ("import dagster", "core/model.py"),
        ("from sqlalchemy import select", "services/collect.py"),
        ("from dbplanmon_pipeline.store import open_store", "services/collect.py"),
        ("from dbplanmon_pipeline.providers.simulated import SimulatedProvider", "providers/postgres/provider.py"),
        ("import dagster", "store/engine.py"),
        ("from dbplanmon_pipeline.providers.postgres import PostgresProvider", "defs/collection.py"),
    ],
)
def test_an_outward_import_would_be_found(statement: str, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ROOT / PACKAGE / at
    monkeypatch.setattr(sys.modules[__name__], "tree_of", lambda _: ast.parse(statement))
    mine = room_of(place(source))
    assert mine is not None
    assert not all(allowed(found, mine) for found in imports_of(source))


def test_only_the_sql_server_provider_imports_pyodbc() -> None:
    wrong = [
        str(found)
        for found in every_import()
        if found.module.split(".")[0] == "pyodbc" and not belongs(place(found.source), "providers.sqlserver")
    ]
    assert not wrong, "\n".join(wrong)


def test_only_settings_read_the_environment() -> None:
    wrong = [
        f"{source.relative_to(ROOT)}:{node.lineno}"
        for source in SOURCES
        if not belongs(place(source), "settings")
        for node in ast.walk(tree_of(source))
        if (isinstance(node, ast.Attribute) and dotted(node) in ("os.environ", "os.getenv", "os.environb"))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & {"environ"})
    ]
    assert not wrong, "\n".join(wrong)


def test_nobody_postpones_annotations() -> None:
    # Dagster 1.13 then rejects `context` and `Config` parameters.
    wrong = [str(found) for found in every_import() if found.module == "__future__"]
    assert not wrong, "\n".join(wrong)


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    lengths = {place(source): len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    long = {name for name, lines in lengths.items() if lines > LONGEST_MODULE}
    assert {name for name in long if not name.startswith(LONG_ON_PURPOSE)} == set()


def test_the_core_has_no_clock_no_dice_and_no_way_out() -> None:
    wrong = []
    for source in (source for source in SOURCES if belongs(place(source), "core")):
        names = [(node.lineno, dotted(node.func)) for node in ast.walk(tree_of(source)) if isinstance(node, ast.Call)]
        wrong += [
            f"{source.relative_to(ROOT)}:{line} calls {name}"
            for line, name in names
            if name in IO_CALLS or name.startswith(UNSEEDED) or name.endswith((".read_text", ".write_text"))
        ]
    wrong += [
        str(found)
        for found in every_import()
        if belongs(place(found.source), "core") and found.module.split(".")[0] in IO_MODULES
    ]
    assert not wrong, "\n".join(wrong)


IMPORT_ALONE = """
import os, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"the import reached for the network: {args}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
sys.path.insert(0, sys.argv[1])
# A broken settings file of the host does not keep it from importing what it merges.
os.chdir("broken")
from dbplanmon_pipeline.defs.location import build_definitions
import dbplanmon_pipeline.component
os.chdir("../empty")
from dbplanmon_pipeline import definitions
assert definitions.defs.resolve_job_def("collection_job").name == "collection_job"
"""


def test_importing_the_definitions_needs_no_network_no_variable_and_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "dbplanmon.yaml").write_text("collection: {nonsense: 1}\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALONE, str(ROOT)],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["dbplanmon.yaml"]
