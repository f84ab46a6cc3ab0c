"""An incident of a slow statement that fails as well lives as long in a back-test as in production."""

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.services.backtest import backtest
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload
from dbplanmon_pipeline_tests.services.recorded_trouble import (
    A_DAY,
    BEGIN,
    LEARNT,
    POLICY,
    STEP,
    detector,
    in_production,
    of_shop,
)

SLOW_AT = LEARNT * A_DAY + 1
FAILS_AT = SLOW_AT + 3
FAST_AT = FAILS_AT + 13
"""By then the change of plan is further back than anything looks."""

WELL_AT = FAST_AT + 4
ENDED = (IncidentEvent.AUTO_RESOLVED,)


def slow_then_failing():
    """Statement 3 is slow, then fails under yet another plan as well, is fast while it fails, and well at last."""
    made = Workload(12, WELL_AT + 8, step=STEP, calls=400, noise=0.05)
    made.slow_down(2, slice(SLOW_AT, FAST_AT), 6)
    made.plan[2, SLOW_AT:FAILS_AT] = 77
    made.fail(2, slice(FAILS_AT, WELL_AT), 0.5, 78)
    made.fail(4, slice(None), 0.02)
    return of_shop(made)


def test_how_often_it_fails_is_kept_in_its_incident(store, clock, tmp_path):
    frame = slow_then_failing()
    reports, _ = in_production(store, clock, frame, tmp_path, POLICY)
    (ended,) = [change for report in reports for change in report.changes if change.event in ENDED]
    (told,) = backtest(frame, detector(), POLICY).notifications
    assert (told.incident.incident_id, told.ended_at) == (ended.incident.incident_id, ended.at)
    assert ended.at > BEGIN + (WELL_AT + 1) * STEP
    assert any(change.incident.failures for report in reports for change in report.changes)
