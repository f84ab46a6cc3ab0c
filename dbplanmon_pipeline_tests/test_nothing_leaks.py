"""Planted secrets and literals go through everything the program does, and are in nothing it wrote or answered.

A real PostgreSQL runs statements full of literals, beside simulated databases, a server that nobody can reach and a
channel that takes nothing. What Dagster, the store, its archive, the log, the commands and the status page keep or say
is then searched, compressed parts unpacked.
"""

import io
import json
import logging
import socket
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import httpx
import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import CliRunner

from dbplanmon_pipeline.cli import dbplanmon
from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.defs.location import build_definitions
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.logs import JOBS_LOGGER, configure_logging
from dbplanmon_pipeline.services.grant_access import issue_token
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline_tests.support.postgres import connect, create_database, drop_database
from dbplanmon_pipeline_tests.web.access.serving import running

SECRETS = {
    "password": "pl4nted-Pa55%word/of@a:login",
    "password of a role": "pl4nted-role-secret",
    "webhook": "pl4nted-hook-path",
    "header of a webhook": "pl4nted-header-value",
}
LITERALS = {
    "select": "pl4nted-select@example.net",
    "number": "4111222233334444",
    "list": "pl4nted-in-list",
    "view": "pl4nted-in-view",
    "partial index": "pl4nted-in-index",
    "default": "pl4nted-default",
    "block": "pl4nted-do-block",
    "prepared": "pl4nted-prepared",
    "comment": "pl4nted-comment",
    "KPI": "pl4nted-kpi",
}
SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE customers (id int PRIMARY KEY, email text, kind text, card numeric)",
    "INSERT INTO customers SELECT g, 'c' || g, 'k' || g % 7, g FROM generate_series(1, 2000) g",
    f"CREATE VIEW vip AS SELECT * FROM customers WHERE email <> '{LITERALS['view']}'",
    f"CREATE INDEX some_customers ON customers (card) WHERE kind <> '{LITERALS['partial index']}'",
    "ANALYZE customers",
)
WORK = (
    f"SELECT count(*) FROM customers WHERE email = '{LITERALS['select']}' OR card = {LITERALS['number']}",
    f"SELECT id FROM customers WHERE kind IN ('a', '{LITERALS['list']}') ORDER BY id",
    "SELECT count(*) FROM vip WHERE id > 3",
    f"SELECT /* {LITERALS['comment']} */ min(id) FROM customers -- {LITERALS['comment']}",
    f"SELECT max(card) FROM customers WHERE card > 7 AND kind <> '{LITERALS['partial index']}'",
    f"CREATE TEMP TABLE t (c text DEFAULT '{LITERALS['default']}')",
    "DROP TABLE t",
    f"DO $$ BEGIN PERFORM '{LITERALS['block']}'; END $$",
    f"PREPARE p AS SELECT count(*) FROM customers WHERE email = '{LITERALS['prepared']}'",
    "EXECUTE p",
    "DEALLOCATE p",
    f"CREATE ROLE planted_role PASSWORD '{SECRETS['password of a role']}'",
    "DROP ROLE planted_role",
)
SETTINGS = """\
environment: development
collection: {{startup_delay: 0s, min_executions: 1, top_n: 1000, max_plans: 1000}}
instances:
- name: shop
  engine: postgres
  server: 127.0.0.1
  port: {port}
  login: {{user: postgres, password: "env:SHOP_PASSWORD"}}
  databases: [{database}]
- name: gone
  engine: postgres
  server: 127.0.0.1
  port: {closed}
  login: {{user: watcher, password: "env:SHOP_PASSWORD"}}
  databases: [sales]
- {{name: fleet, engine: simulated, databases: 2, options: {{failing: 1, statements: 20}}}}
alerts:
  channels:
  - {{type: log}}
  - {{name: hook, type: webhook, url: "env:HOOK_URL", headers: {{X-Api-Key: "env:HOOK_HEADER"}}}}
kpis:
- {{name: broken, instance: shop, database: {database}, sql: "SELECT CAST('{kpi}' AS int)", maximum: 1}}
"""


@dataclass
class Traces:
    """Everything that was written or answered, by where it was."""

    texts: dict[str, str]

    def holding(self, planted: str) -> list[str]:
        wanted = {planted, planted.replace("/", "\\/"), json.dumps(planted)[1:-1]}
        return [where for where, text in self.texts.items() if any(form in text for form in wanted)]


@pytest.fixture(scope="module")
def shop(postgres_server: PostgresServer) -> Iterator[str]:
    name = create_database(postgres_server, *SCHEMA, stem="leaks")
    yield name
    drop_database(postgres_server, name)


@pytest.fixture(scope="module")
def traces(postgres_server: PostgresServer, shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    folder = tmp_path_factory.mktemp("leaks")
    with socket.socket() as closed, pytest.MonkeyPatch.context() as patch:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        patch.setenv("SHOP_PASSWORD", SECRETS["password"])
        patch.setenv("HOOK_URL", f"http://127.0.0.1:{nobody}/{SECRETS['webhook']}?token={SECRETS['webhook']}")
        patch.setenv("HOOK_HEADER", SECRETS["header of a webhook"])
        patch.chdir(folder)
        text = SETTINGS.format(port=postgres_server.port, database=shop, closed=nobody, kpi=LITERALS["KPI"])
        (folder / "dbplanmon.yaml").write_text(text)
        yield Traces(_live(folder, lambda: _work(postgres_server, shop)))


def _work(server: PostgresServer, database: str) -> None:
    with connect(server, database) as session:
        for statement in WORK * 3:
            session.execute(statement.encode())


def _live(folder: Path, work: Callable[[], None]) -> dict[str, str]:
    log = io.StringIO()
    root, jobs = logging.getLogger(), logging.getLogger(JOBS_LOGGER)
    handlers, level = list(root.handlers), root.level
    try:
        configure_logging(json=True, level="DEBUG", stream=log)
        jobs.setLevel(logging.NOTSET)
        events = _dagster(folder, work)
        root.handlers[:] = handlers
        commands = _commands(folder)
        jobs.setLevel(logging.NOTSET)
        configure_logging(json=True, level="DEBUG", stream=log)
        pages = _pages(folder)
        _seal(folder)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    return {"log": log.getvalue(), "events": events} | commands | pages | dict(_files(folder))


def _dagster(folder: Path, work: Callable[[], None]) -> str:
    definitions = build_definitions(load_settings(folder / "dbplanmon.yaml"))
    jobs = ("collection_job", "kpis_job", "analysis_job", "insights_job", "health_job", "alerts_job")
    (folder / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(folder / "dagster"), {"telemetry": {"enabled": False}}) as instance:
        for name in ("collection_job", *jobs, "alerts_job"):
            work()
            definitions.resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False)
        yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
        summary = definitions.resolve_job_def("daily_summary_job")
        summary.execute_in_process(instance=instance, raise_on_error=False, partition_key=yesterday)
        definitions.resolve_job_def("alerts_job").execute_in_process(instance=instance, raise_on_error=False)
        return "\n".join(repr(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id))


COMMANDS = (
    ("check",),
    ("check", "--json"),
    ("collect", "--json"),
    ("kpis", "run", "broken", "--json"),
    ("kpis", "list"),
    ("hotspots", "--json"),
    ("incidents", "list", "--all", "--json"),
    ("alerts", "list", "--json"),
    ("channels", "test"),
    ("channels", "list", "--json"),
    ("health", "ready", "--json"),
    ("store", "check", "--json"),
    ("access", "list", "--json"),
)


def _commands(folder: Path) -> dict[str, str]:
    found = {}
    for words in COMMANDS:
        result = CliRunner().invoke(dbplanmon, ["-vv", "--config", str(folder / "dbplanmon.yaml"), *words])
        assert isinstance(result.exception, SystemExit | None), result.exc_info
        found[f"dbplanmon {' '.join(words)}"] = f"{result.stdout}\n{result.stderr}"
    return found


def _pages(folder: Path) -> dict[str, str]:
    """Pages as strangers, operators and guessers see them; the token of each counts as planted."""
    settings = load_settings(folder / "dbplanmon.yaml")
    monitor = Monitor(settings)
    with running(monitor) as site:
        token = issue_token(site.store, "anna", Role.OPERATOR, actor="root", now=datetime.now(UTC)).secret
        SECRETS["token"] = token
        browser = site.browser()
        found = {
            f"refused login {number}": _said(browser.post("/login", data={"token": token + "0"})) for number in (1, 2)
        }
        entered = browser.post("/login", data={"token": token})
        SECRETS["cookie"] = browser.cookies["dbplanmon_session"]
        assert entered.status_code == 303
        for path in ("/", "/incidents", "/login", "/metrics", "/health", "/health/ready", "/nothing", "/api/incidents"):
            found[path] = _said(browser.get(path))
        api = site.browser().get("/api/incidents", headers={"Authorization": f"Bearer {token}"})
        found["/api/incidents as a program"] = _said(api)
    assert "db_exec_monitor_plan_collection_duration_seconds" in found["/metrics"]
    return found


def _said(answer: httpx.Response) -> str:
    shown = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
    return f"{answer.status_code} {shown} {answer.text}"


def _seal(folder: Path) -> None:
    """Put the days of now into the archive, as if tomorrow had come."""
    url = load_settings(folder / "dbplanmon.yaml").store_url()
    store = open_store(url, clock=lambda: datetime.now(UTC) + timedelta(days=3))
    today = datetime.now(UTC).date()
    sealed = [store.seal_day(day) for day in (today - timedelta(days=1), today)]
    assert any(sealed)
    store.close()


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        where = path.relative_to(folder).as_posix()
        if where == "dbplanmon.yaml":
            continue
        yield where, path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            yield f"{where} as rows", str(pq.read_table(path).to_pylist())
        if path.suffix == ".db":
            yield f"{where} as rows", "\n".join(_rows(path))


def _rows(path: Path) -> Iterator[str]:
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                yield f"{name}: {[_unpacked(value) if isinstance(value, bytes) else value for value in row]}"
    connection.close()


def _unpacked(value: bytes) -> str:
    try:
        value = zstandard.ZstdDecompressor().decompressobj().decompress(value)
    except zstandard.ZstdError:
        with suppress(zlib.error):
            value = zlib.decompress(value)
    return value.decode("utf-8", "replace")


def test_the_search_has_something_to_search_in(traces: Traces) -> None:
    """Statements, plans and failures were really kept, so that finding nothing means something."""
    rows = next(text for where, text in traces.texts.items() if where.endswith("store.db as rows"))
    assert "FROM customers WHERE email = $1" in rows
    assert "some_customers" in rows
    assert '"Node Type"' in rows
    assert "gone" in rows
    assert "FROM vip WHERE id >" in rows
    assert any(where.endswith(".parquet as rows") and "shop" in text for where, text in traces.texts.items())
    assert "target_not_read" in traces.texts["log"]
    assert "login_failed" in traces.texts["log"]
    assert "collection_job" in traces.texts["events"]
    assert traces.holding("hook")


@pytest.mark.parametrize("what", [*SECRETS, "token", "cookie"])
def test_no_secret_is_anywhere(traces: Traces, what: str) -> None:
    assert traces.holding(SECRETS[what]) == []


@pytest.mark.parametrize("what", LITERALS)
def test_no_literal_is_anywhere(traces: Traces, what: str) -> None:
    assert traces.holding(LITERALS[what]) == []


def test_a_planted_word_would_be_found(traces: Traces) -> None:
    assert [where for where in traces.holding("customers") if where.endswith("as rows")]
