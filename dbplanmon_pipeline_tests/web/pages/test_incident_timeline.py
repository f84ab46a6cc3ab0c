from dataclasses import replace
from datetime import timedelta

from dbplanmon_pipeline.core.causes.candidates import Candidate, CauseKind
from dbplanmon_pipeline.core.causes.ranking import RankedCause
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, Failures
from dbplanmon_pipeline.services.explain import Explanation
from dbplanmon_pipeline.web.pages.incident_timeline import history, timeline
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION


def test_what_a_reading_saw_is_told_as_seen_and_what_has_a_moment_stands_at_it():
    causes = [
        Candidate(CauseKind.INDEX, "index ix_a is gone", NOW + timedelta(minutes=3)),
        Candidate(CauseKind.RESTART, "the server restarted", NOW - timedelta(minutes=2), is_dated=True),
        Candidate(CauseKind.PLAN, "the statement got another plan", NOW, is_dated=True),
        Candidate(CauseKind.SETTING, "setting work_mem: 4MB became 64kB", None),
    ]
    ranked = tuple(RankedCause(one, 0.9, "likely", ()) for one in causes)
    found = timeline(PLAN_REGRESSION, Explanation(None, "", (), (), (), ranked=ranked), (), ())
    assert [(entry.words, entry.rank) for entry in found] == [
        ("the server restarted", 2),
        ("First bad interval", 0),
        ("Seen: index ix_a is gone", 1),
    ]


def test_a_step_tells_what_it_costs_in_seconds_or_in_failures():
    failures = Failures(0.0, 0.75, 0, 900, 75, 100, 75, 1234.0)
    failing = replace(PLAN_REGRESSION, metric=FAILED_EXECUTIONS, failures=failures, extra_seconds_per_hour=0.0)
    slow = replace(PLAN_REGRESSION, extra_seconds_per_hour=90.0)
    steps = [IncidentChange(IncidentEvent.OPENED, one, NOW) for one in (failing, slow)]
    assert [step.cost for step in history(steps)] == ["90 s", "1,234 failures"]
