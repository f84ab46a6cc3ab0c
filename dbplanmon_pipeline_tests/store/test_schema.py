"""Contract: the schema, its versions, its views, and a store that is not there."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import StatementText
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.errors import StoreError, StoreSchemaMismatch, StoreUnavailable
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.store.schema import metadata
from dbplanmon_pipeline.store.upgrade import expected_revision
from dbplanmon_pipeline.store.views import view_names
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, NOON, SALES, collected, incident, ticks

MISMATCH = "run: dbplanmon store upgrade"


def test_opening_makes_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state/store.db")
    status = store.schema_status()
    store.close()
    assert list(tmp_path.iterdir()) == []
    assert (status.revision, status.is_current) == ("", False)


def test_use_before_the_upgrade_says_what_to_run(empty_store: SqlStore) -> None:
    with pytest.raises(StoreSchemaMismatch, match=MISMATCH):
        empty_store.open_incidents()
    with pytest.raises(StoreSchemaMismatch, match=MISMATCH):
        empty_store.record([collected(SALES, NOON, [1])])


def test_status_lists_missing_tables_and_changes_nothing(empty_store: SqlStore) -> None:
    before = empty_store.schema_status()
    assert {"query", "interval_metric", "audit_log"} < set(before.missing_tables)
    assert empty_store.schema_status() == before


def test_upgrade_is_repeatable_and_keeps_what_is_there(empty_store: SqlStore) -> None:
    assert empty_store.upgrade().is_current
    for item in ticks(SALES, NOON, 1, [1]):
        empty_store.record([item])
    assert empty_store.upgrade().is_current
    assert len(empty_store.interval_frame(NOON, NOON + FIVE_MINUTES).rows) == 1


def test_down_and_up_again(store: SqlStore) -> None:
    for item in ticks(SALES, NOON, 1, [1]):
        store.record([item])
    down = store.downgrade()
    assert (down.previous_revision, down.revision, down.columns) == (expected_revision(), "", ())
    assert set(down.tables) == {*metadata.tables, "interval_metric"}
    assert (down.tables["interval_metric"], down.tables["monitored_database"]) == (1, 1)
    assert len(store.schema_status().missing_tables) == len(metadata.tables) + 1
    with pytest.raises(StoreSchemaMismatch, match=MISMATCH):
        store.open_incidents()
    assert store.upgrade().is_current
    assert store.interval_frame(NOON, NOON + FIVE_MINUTES).rows.empty


def test_a_dry_run_of_the_way_down_says_the_same_and_changes_nothing(store: SqlStore) -> None:
    for item in ticks(SALES, NOON, 1, [1]):
        store.record([item])
    tried = store.downgrade(dry_run=True)
    assert store.schema_status().is_current
    assert len(store.interval_frame(NOON, NOON + FIVE_MINUTES).rows) == 1
    assert _views(store) >= set(view_names())
    assert store.downgrade() == tried


def test_the_way_down_waits_for_nobody_who_has_the_store_open(store: SqlStore, store_url: str) -> None:
    other = open_store(store_url)
    try:
        other.open_incidents()
        for dry_run in (True, False):
            with pytest.raises(StoreUnavailable, match="is in use"):
                store.downgrade(dry_run=dry_run)
        assert other.schema_status().is_current
    finally:
        other.close()
    assert store.downgrade(dry_run=True).tables


def test_only_an_older_revision_is_a_way_down(store: SqlStore) -> None:
    for revision in ("9999", "head", "+1", "", "0001; DROP TABLE query", "current", expected_revision()):
        with pytest.raises(StoreSchemaMismatch, match="it can be taken back to"):
            store.downgrade(revision)


def test_a_store_without_a_schema_has_no_way_down(empty_store: SqlStore) -> None:
    with pytest.raises(StoreSchemaMismatch, match="there is no"):
        empty_store.downgrade()


def test_after_the_way_down_sqlite_writes_ahead_again(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    store.upgrade()
    store.downgrade(dry_run=True)
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store.close()


def test_what_a_newer_schema_added_is_named_and_views_of_the_rest_stay(store: SqlStore, monkeypatch) -> None:
    """As if the last migration had made a table and a column: what undoes it is all that is pretended."""

    def undo(config: Config, _revision: str) -> None:
        connection = config.attributes["connection"]
        connection.exec_driver_sql("DROP TABLE suggestion")
        connection.exec_driver_sql("ALTER TABLE hotspot DROP COLUMN share")

    monkeypatch.setattr("dbplanmon_pipeline.store.downgrade.command.downgrade", undo)
    down = store.downgrade()
    assert (down.tables, down.columns) == ({"suggestion": 0}, ("hotspot.share",))
    assert set(view_names()) - _views(store) == {"v_suggestion", "v_hotspot"}


def _views(store: SqlStore) -> set[str]:
    with store._database.bare() as connection:
        return set(inspect(connection).get_view_names())


def test_migrations_leave_the_tables_the_program_expects(store: SqlStore) -> None:
    with store._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _is_ours})
        assert compare_metadata(context, metadata) == []


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not str(name).startswith("interval_metric")


def test_newer_store_is_refused(store: SqlStore) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreSchemaMismatch, match="written by a newer program"):
        store.open_incidents()
    with pytest.raises(StoreSchemaMismatch, match="written by a newer program"):
        store.upgrade()
    assert not store.schema_status().is_current


def test_lost_table_is_reported(store: SqlStore) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql("DROP VIEW v_suggestion")
        connection.exec_driver_sql("DROP TABLE suggestion")
    assert store.schema_status().missing_tables == ("suggestion",)
    with pytest.raises(StoreSchemaMismatch, match="suggestion"):
        store.suggestions()


def _upgrade(url: str, start: "multiprocessing.synchronize.Event") -> None:
    start.wait(30)
    assert open_store(url).upgrade().is_current


def test_processes_that_upgrade_at_once_all_succeed(store_url: str) -> None:
    clean = multiprocessing.get_context("forkserver")
    clean.set_forkserver_preload([__name__])
    start = clean.Event()
    processes = [clean.Process(target=_upgrade, args=(store_url, start)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_views_show_names_hashes_and_times(store: SqlStore) -> None:
    for item in ticks(SALES, NOON, 1, [-1], plan_hash=0):
        store.record([replace(item, texts=(StatementText(-1, "select $1"),))])
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, incident(), NOON)])
    store.save_plan_changes([PlanChange(SALES, -1, NOON, 16, 15, "index lost")])
    columns = "instance, database, query_hash, plan_hash, interval_start, execution_count"
    with store._database.read() as connection:
        metric = connection.exec_driver_sql(f"SELECT {columns} FROM v_interval_metric").one()
        change = connection.exec_driver_sql("SELECT database, plan_hash, summary FROM v_plan_change").one()
        text = connection.exec_driver_sql("SELECT query_hash, text FROM v_query").one()
        log = connection.exec_driver_sql("SELECT count(*) FROM v_collection_log WHERE instance = 'alpha'").scalar()
        state = connection.exec_driver_sql("SELECT query_hash, state FROM v_incident").one()
        for name in view_names():
            connection.exec_driver_sql(f"SELECT * FROM {name}").all()
    assert (*metric[:4], str(metric[4])[:19], metric[5]) == (
        "alpha",
        "Sales",
        "f" * 16,
        "",
        "2026-03-10 12:00:00",
        10.0,
    )
    assert tuple(change) == ("Sales", f"{16:016x}", "index lost")
    assert tuple(text) == ("f" * 16, "select $1")
    assert log == 2
    assert tuple(state) == ("fffffffffffffffb", "new")


def test_unknown_values_are_null_for_sql(store: SqlStore) -> None:
    for item in ticks(SALES, NOON, 1, [1]):
        store.record([item])
    sql = "SELECT count(*), count(wait_time_us), sum(execution_count) FROM interval_metric"
    with store._database.read() as connection:
        assert tuple(connection.exec_driver_sql(sql).one()) == (1, 0, 10.0)


def test_sqlite_waits_for_locks_and_syncs_every_commit(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    store.upgrade()
    with store._database.read() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    store.close()
    assert found == ["wal", 2, 30_000]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/db", "cannot be kept in mysql"),
        ("not a url", "store URL is none"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_unusable_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        open_store(url)


def test_unreachable_server_is_one_line_without_the_password() -> None:
    store = open_store("postgresql://monitor:s3cret@127.0.0.1:1/store?sslpassword=s3cret")
    with pytest.raises(StoreUnavailable) as caught:
        store.open_incidents()
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)
    assert "s3cret" not in store.url


def test_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("this is a note, not a database, and it is long enough to look at")
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(StoreError, match="not a database"):
        store.open_incidents()
