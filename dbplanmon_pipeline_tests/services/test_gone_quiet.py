"""A dear statement that ran every day and does not any more is told in the daily summary, and in no incident."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.summary.pages import summary_text
from dbplanmon_pipeline.core.summary.rows import tables_of
from dbplanmon_pipeline.core.workload.changes import WorkloadPolicy
from dbplanmon_pipeline.core.workload.quiet import QuietStatement, quiet_record, quiet_statements
from dbplanmon_pipeline.services.summarise import summarise
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload
from dbplanmon_pipeline_tests.services.recorded_trouble import A_DAY, BEGIN, STEP, Collector, of_shop

FRIDAY = BEGIN + timedelta(days=4)
ALL_DAY, GONE, NIGHTLY, NOT_DAILY, CHEAP, RARE = 1, 2, 3, 4, 5, 6


def recorded(store, gap=None):
    """Monday to Friday; on Friday only the first statement runs."""
    calls = np.full(6, 4000.0)
    calls[CHEAP - 1] = 1
    made = Workload(6, 5 * A_DAY, step=STEP, calls=calls, noise=0.05)
    hour = np.arange(5 * A_DAY)
    made.calls[NIGHTLY - 1, hour % A_DAY != 2] = 0
    made.calls[NOT_DAILY - 1, hour // A_DAY == 1] = 0
    made.calls[1:, hour // A_DAY == 4] = 0
    if gap:
        made.calls[:, gap] = 0
    Collector(store, of_shop(made, 1)).record(BEGIN + timedelta(days=5))


def test_what_ran_every_day_and_does_not_any_more_is_told(store):
    recorded(store)
    found = summarise(store, FRIDAY.date(), 5)
    assert [one.query_hash for one in found.quiet] == [GONE, RARE]
    assert found.quiet[0].normal_seconds_per_hour == pytest.approx(20, rel=0.05)
    assert found.quiet[0].days == 4
    assert found.growth == ()
    (table,) = [table for table in tables_of(found) if table.title.startswith("Gone quiet")]
    assert table.rows[0][1:] == ("0000000000000002", "3,996", "20", "4")
    assert "Gone quiet" in summary_text(found)
    assert [one.query_hash for one in summarise(store, FRIDAY.date() - timedelta(days=1), 5).quiet] == []
    assert summarise(store, FRIDAY.date(), 5, days=7).quiet == ()


def test_a_day_with_more_executions_is_told_as_busier(store):
    calls = np.full((6, 5 * A_DAY), 4000.0)
    calls[0, 4 * A_DAY :] *= 5
    made = Workload(6, 5 * A_DAY, step=STEP, noise=0.05)
    made.calls = calls
    Collector(store, of_shop(made, 1)).record(BEGIN + timedelta(days=5))
    found = summarise(store, FRIDAY.date(), 5)
    assert [one.query_hash for one in found.growth] == [ALL_DAY]
    assert [one.instance for one in found.busier] == ["shop"]


def test_a_day_that_nobody_watched_proves_nothing(store):
    recorded(store, gap=slice(4 * A_DAY + 4, 4 * A_DAY + 12))
    assert summarise(store, FRIDAY.date(), 5).quiet == ()


def test_only_what_always_ran_and_was_dear_is_quiet():
    shop = DatabaseRef("shop", "db0")
    unknown = (np.nan, np.nan)
    past = np.array(
        [
            [(10, 5), (20, 7), (10, 6), unknown],
            [(10, 5), (0, 0), (10, 6), (10, 5)],
            [(10, 5), (10, 5), unknown, unknown],
            [(10, 0.5), (10, 0.9), (10, 0.5), (10, 0.5)],
        ],
        float,
    )
    (quiet,) = quiet_statements([(shop, number) for number in range(4)], past, WorkloadPolicy())
    assert quiet == QuietStatement(shop, 0, 6.0, 10.0, 3)
    assert quiet_record(quiet)["database"] == "shop/db0"
