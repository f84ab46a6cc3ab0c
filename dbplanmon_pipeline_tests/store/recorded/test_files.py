"""Interval rows from files: any order, any portion, the same as from a store; and what is wrong in one line."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dbplanmon_pipeline.core.grouping import whole_instances
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.recorded import files as recorded_intervals
from dbplanmon_pipeline.store.recorded.files import RecordedIntervals, Wanted
from dbplanmon_pipeline.store.recorded.stored import StoredIntervals
from dbplanmon_pipeline_tests.services.recorded_trouble import BEGIN, FIRST, Collector, recorded, write_parquet

SHOP = DatabaseRef("shop", "db0")
DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def frame():
    return recorded()


@pytest.fixture(scope="module")
def file(frame, tmp_path_factory):
    return write_parquet(frame, tmp_path_factory.mktemp("record") / "rows.parquet")


def whole(source):
    """All rows with names instead of numbers, in a fixed order."""
    frames = list(source.frames(whole_instances(source.databases(), 1)))
    named = [
        one.rows.assign(database=one.rows["database_id"].map({n: str(ref) for n, ref in one.databases.items()}))
        for one in frames
    ]
    order = ["database", "query_hash", "interval_end_us", "plan_hash"]
    columns = ["database", *DETECTOR_COLUMNS[1:]]
    return pd.concat(named).reindex(columns=columns).sort_values(order, ignore_index=True)


def test_rows_come_back_in_the_order_that_a_detector_needs(frame, file):
    source = RecordedIntervals(file)
    assert source.databases() == sorted(frame.databases.values())
    assert source.ends().tolist() == np.unique(frame.rows["interval_end_us"]).tolist()
    (one,) = source.frames([tuple(source.databases())])
    order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
    assert one.rows.equals(one.rows.sort_values(order, kind="stable", ignore_index=True))
    assert len(one.rows) == len(frame.rows)


def test_the_store_its_archive_and_files_give_the_same_rows(frame, file, store, tmp_path):
    collector = Collector(store, frame)
    for day in range(1, 5):
        collector.record(BEGIN + day * DAY)
    collector.record(BEGIN + 5 * DAY)
    store.seal_day(BEGIN.date())
    store.seal_day((BEGIN + DAY).date())
    kept = whole(StoredIntervals(store, Wanted()))
    pd.testing.assert_frame_equal(whole(RecordedIntervals(file)), kept)
    assert StoredIntervals(store, Wanted()).ends().tolist() == RecordedIntervals(file).ends().tolist()
    store.export("interval_metric", tmp_path / "exported.parquet")
    pd.testing.assert_frame_equal(whole(RecordedIntervals(tmp_path / "exported.parquet")), kept)
    part = Wanted(FIRST - DAY, FIRST + DAY, "shop", "db0")
    pd.testing.assert_frame_equal(whole(RecordedIntervals(file, part)), whole(StoredIntervals(store, part)))


def test_a_folder_counts_with_all_that_is_below_it(frame, file, tmp_path):
    table = pq.read_table(file)
    (tmp_path / "deep").mkdir()
    pq.write_table(table.slice(0, 900), tmp_path / "b.parquet")
    pq.write_table(table.slice(900), tmp_path / "deep" / "a.parquet", row_group_size=100)
    pd.testing.assert_frame_equal(whole(RecordedIntervals(tmp_path)), whole(RecordedIntervals(file)))


def test_only_what_is_wanted_is_read_but_all_moments_count(frame, file):
    wanted = Wanted(FIRST, FIRST + DAY, "shop")
    source = RecordedIntervals(file, wanted)
    rows = whole(source)
    assert {ref.instance for ref in source.databases()} == {"shop"}
    assert from_epoch_us(rows["interval_end_us"].min()) > FIRST
    assert from_epoch_us(rows["interval_end_us"].max()) <= FIRST + DAY
    ends = frame.rows["interval_end_us"]
    within = (ends > source.ends()[0] - 1) & (ends <= source.ends()[-1])
    assert source.ends().tolist() == np.unique(ends[within]).tolist()


def test_a_large_record_is_read_in_portions(file, monkeypatch):
    expected = whole(RecordedIntervals(file))
    monkeypatch.setattr(recorded_intervals, "MOST_ROWS", 500)
    source = RecordedIntervals(file)
    groups = [(ref,) for ref in source.databases()]
    assert len(list(source._portions(groups))) > 2
    assert [set(one.databases.values()) for one in source.frames(groups)] == [set(group) for group in groups]
    pd.testing.assert_frame_equal(whole(source), expected)


def plain_rows(**columns):
    """Two rows of one statement with the least columns and the plainest types."""
    start = MIDNIGHT
    step = timedelta(minutes=5)
    rows = {
        "interval_start": [start, start + step],
        "interval_end": [start + step, start + 2 * step],
        "instance": ["shop", "shop"],
        "database": ["db0", "db0"],
        "query_hash": ["00000000000000ff", "0xff"],
        "plan_hash": ["", None],
        "execution_count": [3, 4],
        "elapsed_time_us": [10.0, None],
    }
    return pa.table(rows | columns)


def written(tmp_path, table):
    pq.write_table(table, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_plain_types_are_taken_and_absent_metrics_are_left_out(tmp_path):
    naive = pa.array([300_000_000, 600_000_000], pa.timestamp("us"))
    (one,) = RecordedIntervals(written(tmp_path, plain_rows(interval_end=naive))).frames([(SHOP,)])
    assert one.rows["query_hash"].tolist() == [255, 255]
    assert one.rows["plan_hash"].tolist() == [0, 0]
    assert [from_epoch_us(end).hour for end in one.rows["interval_end_us"]] == [0, 0]
    assert np.isnan(one.rows["elapsed_time_us"].tolist()[1])
    assert "worker_time_us" not in one.rows


def test_long_texts_are_texts(file, tmp_path):
    table = pq.read_table(file)
    texts = [pa.field(one.name, pa.large_string() if "hash" in one.name else one.type) for one in table.schema]
    long = written(tmp_path, table.cast(pa.schema(texts)))
    assert pq.read_schema(long).field("query_hash").type == pa.large_string()
    assert whole(RecordedIntervals(long)).equals(whole(RecordedIntervals(file)))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"query_hash": ["nonsense", "ff"]}, "query_hash must be 16 hexadecimal digits"),
        ({"interval_end": ["today", "later"]}, "interval_end is string; timestamp"),
        ({"interval_start": pa.array([None, None], pa.timestamp("us"))}, "interval_start is empty in 2 rows"),
        ({"execution_count": ["many", "few"]}, "execution_count is string; double is needed"),
        (
            {"interval_start": [MIDNIGHT] * 2, "interval_end": [MIDNIGHT + timedelta(minutes=5)] * 2},
            "1 rows are there twice, such as statement 00000000000000ff of shop/db0 at 2026-03-02 00:05 UTC",
        ),
    ],
    ids=["hash", "moment", "no moment", "figure", "twice"],
)
def test_a_wrong_column_is_one_clear_line(tmp_path, columns, complaint):
    file = written(tmp_path, plain_rows(**columns))
    with pytest.raises(StoreError, match=complaint) as raised:
        list(RecordedIntervals(file).frames([(SHOP,)]))
    assert "\n" not in str(raised.value)


def test_a_missing_column_no_file_and_no_parquet_are_clear(tmp_path):
    with pytest.raises(StoreError, match="has no column database, plan_hash; interval rows of the archive are needed"):
        RecordedIntervals(written(tmp_path, plain_rows().drop_columns(["database", "plan_hash"])))
    (tmp_path / "none").mkdir()
    with pytest.raises(StoreError, match=r"no Parquet file below .*none; name a file"):
        RecordedIntervals(tmp_path / "none")
    (tmp_path / "rows.parquet").write_text("no parquet")
    with pytest.raises(StoreError, match="cannot be read as Parquet"):
        RecordedIntervals(tmp_path / "rows.parquet")


def flagged(tmp_path, rows):
    """A record of (instance, hours after midnight, counter began again), one statement each."""
    columns = {"query_hash": [f"{number:016x}" for number in range(len(rows))], "plan_hash": "", "execution_count": 1}
    end = [MIDNIGHT + timedelta(hours=hour) for _, hour, _ in rows]
    names = [name for name, _, _ in rows]
    table = pd.DataFrame(columns | {"instance": names, "database": "db0", "interval_end": end})
    table["interval_start"] = table["interval_end"] - timedelta(minutes=5)
    table["counter_reset"] = [began_again for _, _, began_again in rows]
    path = tmp_path / "flagged.parquet"
    table.to_parquet(path, index=False)
    return path


def test_a_restart_is_where_all_counters_of_an_instance_began_again(tmp_path):
    whole_server = [("shop", 1, True)] * 10 + [("blog", 1, False)] * 10
    one_plan = [("shop", 2, False)] * 9 + [("shop", 2, True)] * 4
    few_rows = [("blog", 3, True)] * 3
    source = RecordedIntervals(flagged(tmp_path, [*whole_server, *one_plan, *few_rows]))
    (restart,) = source.restarts().known
    assert (restart.instance, restart.at) == ("shop", MIDNIGHT + timedelta(hours=1))
    assert source.restarts().of_database(SHOP, MIDNIGHT + timedelta(hours=1), timedelta(minutes=5)) == [restart]


def test_a_record_that_does_not_tell_of_resets_knows_no_restarts(file):
    assert not RecordedIntervals(file).restarts().known
