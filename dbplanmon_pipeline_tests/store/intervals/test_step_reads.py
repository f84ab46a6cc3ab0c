"""What the analysis asks for one more tick: chosen statements, whether work came late, whether baselines changed."""

from datetime import timedelta

import pandas as pd
import pytest

from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.store import SqlStore, StateFolder
from dbplanmon_pipeline_tests.store.samples import CRM, FIVE_MINUTES, HR, NOON, SALES, late_rows, rows, ticks, us
from dbplanmon_pipeline_tests.store.test_records import DAY, baselines


@pytest.fixture
def read(store: SqlStore) -> SqlStore:
    for reading in zip(*(ticks(ref, NOON, 3, [-5, 7, 9]) for ref in (SALES, HR, CRM)), strict=True):
        store.record(reading)
    return store


@pytest.mark.parametrize("sealed", [False, True], ids=["hot", "sealed"])
def test_statements_are_read_as_they_lie_in_the_whole(read: SqlStore, sealed: bool) -> None:
    if sealed:
        read.seal_day(NOON.date())
    start, end = NOON + FIVE_MINUTES, NOON + 3 * FIVE_MINUTES
    whole = read.interval_frame(start, end, columns=["execution_count"])
    number = {ref: database for database, ref in whole.databases.items()}
    wanted = [(number[SALES], -5), (number[SALES], 9), (number[CRM], 7), (number[CRM], 12345)]
    found = read.statement_frame(start, end, wanted, columns=["execution_count"])
    keys = [key in wanted for key in zip(whole.rows["database_id"], whole.rows["query_hash"], strict=True)]
    pd.testing.assert_frame_equal(found.rows, whole.rows[keys].reset_index(drop=True))
    assert len(found.rows) == 6
    assert set(found.databases.values()) == {SALES, CRM}


@pytest.mark.parametrize("sealed", [False, True], ids=["hot", "sealed, with rows that came later"])
def test_work_by_statement_is_the_sum_of_the_rows_of_each(store: SqlStore, sealed: bool) -> None:
    midnight = NOON + timedelta(hours=12)
    for ref in (SALES, HR, CRM):
        for reading in ticks(ref, midnight - 2 * FIVE_MINUTES, 4, [-5, 7, 9]):
            store.record([reading])
    if sealed:
        store.seal_day(NOON.date())
        early = midnight - 2 * FIVE_MINUTES
        store.record([late_rows(SALES, early, rows(early, midnight - FIVE_MINUTES, [7], executions=0.5))])
    start, end, columns = midnight - FIVE_MINUTES, midnight + FIVE_MINUTES, ["execution_count", "wait_time_us"]
    for databases in (None, [SALES, CRM]):
        each = store.interval_frame(start - FIVE_MINUTES, end, columns=columns, databases=databases)
        sums = each.rows.groupby(["database_id", "query_hash"])[columns].sum(min_count=1).reset_index()
        found = store.work_by_statement(start - FIVE_MINUTES, end, columns, databases=databases)
        pd.testing.assert_frame_equal(found.rows, sums)
        assert found.databases == each.databases
    assert found.rows["execution_count"].tolist() == [30, 30.5 if sealed else 30, 30, 30, 30, 30]
    with pytest.raises(ValueError, match="only counters add up, not elapsed_time_us_max"):
        store.work_by_statement(start, end, ["elapsed_time_us_max"])


def test_recorded_work_counts_every_row_once_and_rows_that_come_late(read: SqlStore) -> None:
    before = read.recorded_work(NOON, [SALES, CRM])
    assert set(before) == {(SALES, us(NOON)), (CRM, us(NOON))}
    assert before[SALES, us(NOON)][0] == 3 * 3 * 10
    late = rows(NOON, NOON + FIVE_MINUTES, [7], executions=0.5)
    read.record([late_rows(SALES, NOON, late)])
    after = read.recorded_work(NOON, [SALES, CRM])
    assert after[SALES, us(NOON)][0] == before[SALES, us(NOON)][0] + 0.5
    assert after[CRM, us(NOON)] == before[CRM, us(NOON)]
    assert read.recorded_work(NOON + DAY, [SALES]) == {}


def test_recorded_work_knows_of_rows_in_which_everything_failed(read: SqlStore) -> None:
    before = read.recorded_work(NOON, [SALES])[SALES, us(NOON)]
    late = rows(NOON, NOON + FIVE_MINUTES, [7], executions=0)
    for name, value in {"elapsed_time_us": 0, "aborted_count": 3, "exception_count": 2}.items():
        late.values[:, COUNTERS.index(name)] = value
    read.record([late_rows(SALES, NOON, late)])
    after = read.recorded_work(NOON, [SALES])[SALES, us(NOON)]
    assert after == (*before[:2], before[2] + 5)


def test_a_version_of_baselines_changes_with_every_write(store: SqlStore) -> None:
    assert store.baseline_version("v1").as_of is None
    seen = {store.baseline_version("v1").text}
    for as_of in (NOON, NOON, NOON + DAY):
        store.save_baselines(baselines(as_of, [(1, 1), (1, 2)]))
        seen.add(store.baseline_version("v1").text)
    assert len(seen) == 4
    assert store.baseline_version("v1").as_of == NOON + DAY
    assert store.baseline_version("v1") == store.baseline_version("v1")


def test_a_folder_of_states_gives_back_what_was_saved_last(tmp_path) -> None:
    folder = StateFolder(tmp_path / "analysis")
    assert folder.load("one") is None
    for last in (1.0, 2.0):
        folder.save("one", {"values": pd.Series([last]).to_numpy()})
    folder.save("other", {"values": pd.Series([7]).to_numpy()})
    assert folder.load("one")["values"].tolist() == [2.0]
    assert len(list((tmp_path / "analysis").iterdir())) == 2


def test_a_folder_that_cannot_be_written_keeps_nothing_and_stops_nobody(tmp_path) -> None:
    (tmp_path / "analysis").write_text("in the way", "utf-8")
    folder = StateFolder(tmp_path / "analysis")
    folder.save("one", {"values": pd.Series([1]).to_numpy()})
    assert folder.load("one") is None


def test_the_count_of_writes_is_no_job(store: SqlStore) -> None:
    store.save_baselines(baselines(NOON, [(1, 1)]))
    assert store.store_figures(NOON).jobs == []
