from datetime import timedelta

from dbplanmon_pipeline.core.cause_candidates import Candidate, CauseKind
from dbplanmon_pipeline.core.causes import RankedCause
from dbplanmon_pipeline.services.explain import Explanation
from dbplanmon_pipeline.web.pages.incident_timeline import timeline
from dbplanmon_pipeline_tests.core.incidents import NOW, PLAN_REGRESSION


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
        ("First slow interval", 0),
        ("Seen: index ix_a is gone", 1),
    ]
