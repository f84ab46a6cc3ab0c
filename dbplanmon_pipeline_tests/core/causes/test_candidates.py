"""Changes that only two captured plans show."""

from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.causes.candidates import CauseKind, candidates_around, updated_between
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDERS = "dbo.Orders"


def differs(kind, *, node, after=""):
    return PlanDifference(kind, node, "", after, f"{node} changed")


@pytest.mark.parametrize(
    ("kind", "node", "present", "expected"),
    [
        (DifferenceKind.SETTING, "work_mem", "setting work_mem", []),
        (DifferenceKind.SETTING, "work_mem", "setting jit", [CauseKind.SETTING]),
        (DifferenceKind.STATISTICS, ORDERS, f"statistics time of {ORDERS}", []),
        (DifferenceKind.TABLE, ORDERS, f"rows of {ORDERS}", []),
        (DifferenceKind.TABLE, ORDERS, "rows of dbo.Other", [CauseKind.VOLUME]),
        (DifferenceKind.INDEX, "ix", f"indexes of {ORDERS}", []),
        (DifferenceKind.INDEX, f"ix on {ORDERS}", f"indexes of {ORDERS}", [CauseKind.INDEX]),
    ],
)
def test_what_is_watched_all_the_time_is_not_taken_from_old_captures(kind, node, present, expected):
    found = candidates_around([differs(kind, node=node)], [], {present})
    assert [one.kind for one in found] == expected


def statistics(after):
    return differs(DifferenceKind.STATISTICS, node=f"ix_a of {ORDERS}", after=after)


@pytest.mark.parametrize(
    ("after", "is_told"),
    [
        ("2026-03-01 11:58:00", True),
        # A server east of Greenwich says so of what happened a minute ago.
        ("2026-03-02 01:59:00", True),
        ("2026-02-28 21:59:00", False),
        ("never", False),
        ("120,000", False),
    ],
)
def test_statistics_that_a_plan_was_compiled_with_are_told_where_they_are_new(after, is_told):
    found = list(updated_between([statistics(after), differs(DifferenceKind.JOIN_TYPE, node="x", after=after)], NOON))
    assert [one.node for one in found] == [ORDERS] * is_told
    assert [one.kind for one in candidates_around(found, [], ())] == [CauseKind.STATISTICS] * is_told
    assert candidates_around(found, [], {f"statistics time of {ORDERS}"}) == []
