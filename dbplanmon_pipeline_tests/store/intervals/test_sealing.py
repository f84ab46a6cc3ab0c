"""Contract: sealed days, hourly totals, purge."""

import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.store.samples import CRM, FIVE_MINUTES, HR, NOON, SALES, late_rows, rows, ticks

DAY = NOON.date()
WINDOW = (NOON - timedelta(days=3), NOON + timedelta(days=3))


def fill(store: SqlStore) -> None:
    for ref in (SALES, HR, CRM):
        for item in ticks(ref, NOON, 3, [1, -2, 3], plan_hash=9):
            store.record([item])


def archive_files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "archive").glob("*"))


def test_sealed_day_reads_like_the_hot_one(store: SqlStore, tmp_path: Path) -> None:
    fill(store)
    before = store.interval_frame(*WINDOW)
    sealed = store.seal_day(DAY)
    assert (sealed.day, sealed.rows) == (DAY, 27)
    assert sealed.bytes == (tmp_path / "archive" / sealed.location).stat().st_size
    assert store.hot_days() == []
    after = store.interval_frame(*WINDOW)
    pd.testing.assert_frame_equal(after.rows, before.rows)
    assert after.databases == before.databases
    assert archive_files(tmp_path) == [sealed.location]


def test_selections_of_a_sealed_day_equal_those_of_the_hot_one(store: SqlStore) -> None:
    fill(store)
    start, end = NOON + FIVE_MINUTES, NOON + 2 * FIVE_MINUTES

    def select():
        wanted = {"columns": ["rows", "counter_reset"], "databases": [HR, CRM], "query_hash": -2}
        return store.interval_frame(start, end, **wanted).rows

    hot, history = select(), store.query_history(HR, -2, *WINDOW)
    store.seal_day(DAY)
    assert len(hot) == 2
    pd.testing.assert_frame_equal(select(), hot)
    pd.testing.assert_frame_equal(store.query_history(HR, -2, *WINDOW), history)


def test_sealed_file_has_public_names_sorted_by_statement(store: SqlStore, tmp_path: Path) -> None:
    fill(store)
    sealed = store.seal_day(DAY)
    frame = pq.read_table(tmp_path / "archive" / sealed.location).to_pandas()
    assert frame.columns.tolist()[:8] == [
        "interval_start",
        "interval_end",
        "instance",
        "database",
        "query_hash",
        "plan_hash",
        "execution_count",
        "elapsed_time_us",
    ]
    assert set(COUNTERS) < set(frame.columns)
    keys = frame[["instance", "database", "query_hash", "plan_hash", "interval_end"]]
    found = list(keys.itertuples(index=False, name=None))
    assert found == sorted(found)
    assert set(frame["query_hash"]) == {"0000000000000001", "fffffffffffffffe", "0000000000000003"}
    assert str(frame["interval_end"].dt.tz) == "UTC"
    assert frame["wait_time_us"].isna().all()


def test_sealing_again_changes_nothing(store: SqlStore, tmp_path: Path) -> None:
    fill(store)
    first = store.seal_day(DAY)
    assert store.seal_day(DAY) == first
    assert store.sealed_days() == [first]
    assert archive_files(tmp_path) == [first.location]


def test_day_without_rows_is_not_sealed(store: SqlStore, tmp_path: Path) -> None:
    assert store.seal_day(DAY) is None
    assert archive_files(tmp_path) == []


def test_unfinished_day_is_refused(store: SqlStore, clock) -> None:
    clock.moment = NOON
    with pytest.raises(StoreError, match="has not ended yet"):
        store.seal_day(DAY)


def test_late_rows_of_a_sealed_day_add_to_it_and_are_sealed_by_the_next_call(store: SqlStore, tmp_path: Path) -> None:
    fill(store)
    store.seal_day(DAY)
    late = rows(NOON, NOON + FIVE_MINUTES, [1, 77], plan_hash=9, executions=5)
    store.record([late_rows(SALES, NOON + timedelta(days=1), late)])
    between = store.interval_frame(*WINDOW).rows
    assert len(between) == 28
    assert sorted(between.loc[between["query_hash"] == 1, "execution_count"])[-2:] == [10, 15]
    again = store.seal_day(DAY)
    assert again.rows == 28
    assert store.hot_days() == []
    pd.testing.assert_frame_equal(store.interval_frame(*WINDOW).rows, between)
    assert archive_files(tmp_path) == [again.location]


def test_missing_file_of_a_sealed_day_is_a_clear_error(store: SqlStore, tmp_path: Path) -> None:
    fill(store)
    sealed = store.seal_day(DAY)
    (tmp_path / "archive" / sealed.location).unlink()
    with pytest.raises(StoreError, match="is not in the archive"):
        store.interval_frame(*WINDOW)


def test_sweep_removes_old_leftovers_and_nothing_else(store: SqlStore, tmp_path: Path, clock) -> None:
    fill(store)
    sealed = store.seal_day(DAY)
    folder = tmp_path / "archive"
    names = (
        "interval_metric_0001.tmp",
        "interval_metric_2026-03-01_abc.parquet",
        "notes.txt",
        "interval_metric_new.tmp",
    )
    for name in names:
        (folder / name).write_bytes(b"x")
    old, now = (clock.moment - timedelta(hours=2)).timestamp(), clock.moment.timestamp()
    for name in (*names[:3], sealed.location):
        os.utime(folder / name, (old, old))
    os.utime(folder / names[3], (now, now))
    assert store.sweep_archive() == list(names[:2])
    assert archive_files(tmp_path) == sorted([sealed.location, *names[2:]])


def test_archive_behind_a_url(store_url: str, clock) -> None:
    store = open_store(store_url, archive="memory://sealed-days", clock=clock)
    store.upgrade()
    fill(store)
    before = store.interval_frame(*WINDOW).rows
    sealed = store.seal_day(DAY)
    pd.testing.assert_frame_equal(store.interval_frame(*WINDOW).rows, before)
    assert store.drop_sealed_days(DAY + timedelta(days=1)) == [DAY]
    assert sealed.rows == 27
    assert store.interval_frame(*WINDOW).rows.empty
    store.close()


def test_unknown_archive_scheme_is_refused() -> None:
    with pytest.raises(StoreError, match="an archive at nosuch:// needs fsspec"):
        open_store("sqlite:////nowhere/store.db", archive="nosuch://bucket")


def test_drop_hot_days_drops_whole_days_only(store: SqlStore) -> None:
    for number in range(3):
        start = NOON + timedelta(days=number)
        store.record([late_rows(SALES, start, rows(start, start + FIVE_MINUTES, [number + 1]))])
    assert store.drop_hot_days(DAY + timedelta(days=2)) == [DAY, DAY + timedelta(days=1)]
    assert store.interval_frame(*WINDOW).rows["query_hash"].tolist() == [3]
    assert store.hot_days() == [DAY + timedelta(days=2)]


def test_hourly_totals_add_what_is_known(store: SqlStore, tmp_path: Path) -> None:
    for item in ticks(SALES, NOON - FIVE_MINUTES, 14, [1, 2], plan_hash=4):
        store.record([item])
    assert store.roll_up_day(DAY) == 6
    assert store.roll_up_day(DAY) == 6
    store.export("hourly_rollup", tmp_path / "totals.parquet")
    totals = pq.read_table(tmp_path / "totals.parquet").to_pandas()
    assert totals["intervals"].tolist() == [1, 1, 12, 12, 1, 1]
    assert totals["execution_count"].tolist() == [10, 10, 120, 120, 10, 10]
    assert totals["elapsed_time_us"].tolist() == [2, 2, 24, 24, 2, 2]
    assert totals["wait_time_us"].isna().all()
    assert totals["elapsed_time_us_max"].eq(99.5).all()


def test_totals_of_a_sealed_day_equal_those_of_the_hot_one(store: SqlStore, tmp_path: Path) -> None:
    fill(store)
    store.roll_up_day(DAY)
    store.export("hourly_rollup", tmp_path / "hot.csv")
    store.seal_day(DAY)
    store.roll_up_day(DAY)
    store.export("hourly_rollup", tmp_path / "sealed.csv")
    assert (tmp_path / "hot.csv").read_text() == (tmp_path / "sealed.csv").read_text()


def test_export_of_metrics_has_hot_and_sealed_days(store: SqlStore, tmp_path: Path) -> None:
    fill(store)
    store.seal_day(DAY)
    tomorrow = NOON + timedelta(days=1)
    store.record([late_rows(CRM, tomorrow, rows(tomorrow, tomorrow + FIVE_MINUTES, [8]))])
    assert store.export("interval_metric", tmp_path / "all.parquet") == 28
    frame = pq.read_table(tmp_path / "all.parquet").to_pandas()
    assert frame["interval_end"].max() == tomorrow + FIVE_MINUTES
    assert np.allclose(frame["elapsed_time_us"], 2.0)
    assert store.export("interval_metric", tmp_path / "all.csv") == 28


def test_export_refuses_unknown_tables_and_files(store: SqlStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no table secrets"):
        store.export("secrets", tmp_path / "a.csv")
    with pytest.raises(StoreError, match=r"neither \.parquet nor \.csv"):
        store.export("plan", tmp_path / "a.xlsx")
