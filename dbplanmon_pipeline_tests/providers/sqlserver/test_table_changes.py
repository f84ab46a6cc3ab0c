"""Rows, statistics and last alteration of tables over the wire."""

from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.causes.candidates import CauseKind, candidates_of_facts
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.providers.sqlserver.table_changes import read_table_facts
from dbplanmon_pipeline_tests.providers.sqlserver.index_catalogue import IndexCatalogue
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import session_to
from dbplanmon_pipeline_tests.providers.sqlserver.recorded import pretending, sent
from dbplanmon_pipeline_tests.support.tds import TdsServer

ORDERS = "dbo.Orders"
UPDATED = "statistics of dbo.Orders were updated at"


def moment(month, day, hour=0, minute=0):
    """As the wall of the server shows it, which knows no zone."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


ALTERED = moment(3, 1, 10, 2)


def catalogue(*, rows=(70_000, 30_000), altered=ALTERED, updates=()):
    """A table whose statistics were updated so: (name, moment, rows, sampled rows)."""
    found = IndexCatalogue().table("Orders", rows=rows)
    (table,) = found.rows["sys.objects"]
    table["modify_date"] = altered
    ids = {"object_id": table["object_id"]}
    found.rows["sys.stats"] = [{**ids, "stats_id": at, "name": name} for at, (name, *_) in enumerate(updates, 1)]
    found.rows["sys.dm_db_stats_properties"] = [
        {**ids, "stats_id": at, "last_updated": moment, "rows": count, "rows_sampled": sampled}
        for at, (_, moment, count, sampled) in enumerate(updates, 1)
    ]
    return found


def facts_of(known, *tables, driver=None, denied=None):
    pretended = pretending(known, denied=denied or {})
    with TdsServer(pretended.handler()) as server, session_to(server, driver) as session:
        return read_table_facts(session, tables), sent(server, "table_changes") + sent(server, "table_statistics")


def test_a_table_tells_its_rows_its_last_alteration_and_its_newest_statistics(driver):
    updates = [
        ("ix_a", moment(3, 1, 9), 90_000, 90_000),
        ("ix_b", moment(3, 1, 10, 30), 100_000, 5_000),
        ("_WA_Sys_1", None, None, None),
    ]
    found, asked = facts_of(catalogue(updates=updates), ORDERS, "dbo.Gone", driver=driver)
    assert found == {
        "rows of dbo.Orders": "100000",
        "alteration of dbo.Orders": "2026-03-01T10:02:00",
        "statistics time of dbo.Orders": (
            "2026-03-01T10:30:00 by the server's clock (ix_b, from 5,000 of 100,000 rows)"
        ),
    }
    assert asked == 2


def test_a_table_without_statistics_tells_the_rest():
    found, _ = facts_of(catalogue(), ORDERS)
    assert found.keys() == {"rows of dbo.Orders", "alteration of dbo.Orders"}


def test_a_login_that_may_not_ask_for_statistics_still_sees_the_table():
    found, _ = facts_of(catalogue(), ORDERS, denied={"sys.dm_db_stats_properties": 229})
    assert found.keys() == {"rows of dbo.Orders", "alteration of dbo.Orders"}


def test_nothing_is_asked_where_no_table_is_known():
    assert facts_of(catalogue()) == ({}, 0)


def test_names_with_brackets_and_dots_find_no_other_table():
    assert facts_of(catalogue(), "dbo.Orders]", "dbo.x.Orders", "Orders")[0] == {}


@pytest.mark.parametrize(
    ("after", "kind", "words"),
    [
        ({"rows": (900_000,)}, CauseKind.VOLUME, "table dbo.Orders grew from about 100,000 to 900,000 rows (x9)"),
        (
            {"altered": moment(3, 2, 7)},
            CauseKind.TABLE,
            "table dbo.Orders or an index of it was altered or rebuilt at 2026-03-02 07:00:00 by the server's clock",
        ),
        (
            {"updates": [("ix", moment(3, 2, 7), 100_000, 1_000)]},
            CauseKind.STATISTICS,
            f"{UPDATED} 2026-03-02 07:00:00 by the server's clock (ix, from 1,000 of 100,000 rows)",
        ),
    ],
    ids=["growth", "alteration", "statistics"],
)
def test_what_two_readings_tell_apart_is_a_cause(after, kind, words):
    usual = {"updates": [("ix", moment(2, 1), 90_000, 90_000)]}
    was, now = (facts_of(catalogue(**(usual | more)), ORDERS)[0] for more in ({}, after))
    ref = DatabaseRef("sql1", "shop")
    changes = [FactChange(ref, name, NOW, was[name], now[name]) for name in was if was[name] != now[name]]
    (found,) = candidates_of_facts(changes)
    assert (found.kind, found.table, found.what) == (kind, ORDERS, words)
