import math
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.known_events import KnownEvent
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.recorded.labels import read_labels

ORIGIN = datetime(2026, 3, 2, tzinfo=UTC)


def events_of(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    return read_labels(tmp_path / "labels.csv", ORIGIN)


def test_a_whole_label_is_read(tmp_path):
    (found,) = events_of(
        tmp_path,
        "scope,instance,database,query_hash,kind,start,end,magnitude,extra_seconds_per_hour,is_regression,is_neutral\n"
        "query,shop,orders,ffffffffffffffff,new plan,2026-03-04T10:00:00+02:00,2026-03-04T12:00,5,12.5,yes,0\n",
    )
    start = datetime(2026, 3, 4, 8, tzinfo=UTC)
    end = datetime(2026, 3, 4, 12, tzinfo=UTC)
    expected = KnownEvent(IncidentScope.QUERY, "shop", "orders", -1, "new plan", start, end, 5.0, 12.5, True, False)
    assert found == expected


def test_what_is_left_out_has_a_meaning(tmp_path):
    query, instance = events_of(
        tmp_path,
        "instance,query_hash,start,end,scope\nshop,ff,2026-03-04,,\nshop,,2026-03-04,2026-03-05,instance\n",
    )
    assert (query.scope, query.database, query.kind, query.end.year) == (IncidentScope.QUERY, "", "query", 9999)
    assert (query.is_regression, query.is_neutral) == (True, False)
    assert math.isnan(query.magnitude)
    assert (instance.scope, instance.query_hash, instance.kind) == (IncidentScope.INSTANCE, 0, "instance")


def test_a_label_of_a_database_names_it(tmp_path):
    heading = "instance,database,start,end,scope\n"
    (found,) = events_of(tmp_path, f"{heading}shop,orders,2026-03-04,,database\n")
    assert found.scope is IncidentScope.DATABASE
    assert found.key == ("shop", "orders", 0)
    with pytest.raises(StoreError, match="database is empty"):
        events_of(tmp_path, f"{heading}shop,,2026-03-04,,database\n")


def test_parquet_with_its_own_types_is_read_too(tmp_path):
    start = pd.Timestamp("2026-03-04T10:00", tz="Europe/Berlin")
    table = {
        "instance": ["shop"],
        "query_hash": ["ff"],
        "start": [start],
        "end": pd.to_datetime([None], utc=True),
        "is_regression": [False],
        "magnitude": [float("nan")],
    }
    pd.DataFrame(table).to_parquet(tmp_path / "labels.parquet")
    (found,) = read_labels(tmp_path / "labels.parquet", ORIGIN)
    assert (found.start, found.is_regression) == (datetime(2026, 3, 4, 9, tzinfo=UTC), False)


def test_labels_that_count_begin_at_the_origin_of_the_record(tmp_path):
    query, instance = events_of(
        tmp_path,
        "scope,instance_id,query_id,kind,onset_t,end_t,true_regression,neutral,magnitude,extra_us_per_hour\n"
        "query,1,26,plan_regress,12,24,True,False,5.0,20000000\ninstance,2,-1,restart,0,12,False,False,,0\n",
    )
    assert (query.instance, query.query_hash, query.extra_seconds_per_hour) == ("sim-1", 26, 20.0)
    assert (query.start, query.end) == (ORIGIN + timedelta(hours=1), ORIGIN + timedelta(hours=2))
    assert (instance.scope, instance.key) == (IncidentScope.INSTANCE, ("sim-2", "", 0))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("instance,query_hash\nshop,ff\n", "has no column end, start; docs/backtest.md names the columns"),
        ("instance,query_hash,start,end\nshop,,2026-03-04,\n", "label 1: query_hash is empty; a label of a statement"),
        ("instance,query_hash,start,end\n,ff,2026-03-04,\n", "label 1: instance is empty"),
        ("instance,query_hash,start,end\nshop,ff,soon,\n", "label 1: start 'soon' cannot be read: a moment such as"),
        ("instance,query_hash,start,end\nshop,xy,2026-03-04,\n", "query_hash 'xy' cannot be read: 16 hexadecimal"),
        ("instance,query_hash,start,end,scope\nshop,ff,2026-03-04,,all\n", "scope 'all' cannot be read: query or"),
        ("instance,query_hash,start,end,is_neutral\nshop,ff,2026-03-04,,perhaps\n", "'perhaps' cannot be read: true"),
        ("instance,query_hash,start,end,magnitude\nshop,ff,2026-03-04,,huge\n", "'huge' cannot be read: a number"),
        ("", "cannot be read as labels: No columns to parse"),
    ],
)
def test_a_wrong_label_is_one_clear_line(tmp_path, text, complaint):
    with pytest.raises(StoreError, match=complaint) as raised:
        events_of(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_an_end_before_its_start_is_refused(tmp_path):
    with pytest.raises(StoreError, match="label 1: end is not later than start"):
        events_of(tmp_path, "instance,query_hash,start,end\nshop,ff,2026-03-04,2026-03-03\n")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"none.csv cannot be read as labels: No such file"):
        read_labels(tmp_path / "none.csv", ORIGIN)
