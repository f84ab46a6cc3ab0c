"""When something that a channel keeps open is over, and when it is told so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.alert_rules.ends import tracked_as, tracked_ends, tracking_key
from dbplanmon_pipeline.core.incidents.incident import IncidentState
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import AlertRule, AlertState, PastAlert, TrackedKey, TrackedMessage
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = NOON + 2 * HOUR
CLOSED = replace(PLAN_REGRESSION, incident_id="a" * 12, state=IncidentState.AUTO_RESOLVED, updated_at=NOON + HOUR)
OPENED = TrackedMessage(
    "m1", "group:1", "pager", "high", NOON, "[high] prod: slow", "prod", AlertState.DELIVERED, ended_at=NOON + MINUTE
)
TOLD = PastAlert("t1", CLOSED.incident_id, "opened", "pager", "high", NOON, AlertState.GROUPED, decided_at=NOON)
KEY = TrackedKey(
    "group:1", "pager", (OPENED,), told={CLOSED.incident_id: (TOLD,)}, incidents={CLOSED.incident_id: CLOSED}
)


def end(at: datetime, state: AlertState = AlertState.DELIVERED, rule: AlertRule = AlertRule.NONE) -> TrackedMessage:
    return replace(OPENED, alert_id=f"e {at:%d %H:%M}", created_at=at, state=state, rule=rule, ended_at=at)


def told(event: str, at: datetime, state: AlertState = AlertState.SUPPRESSED) -> PastAlert:
    return replace(TOLD, alert_id=f"{event} {at:%H:%M}", event=event, created_at=at, state=state)


def ends(key: TrackedKey, now: datetime = NOW) -> int:
    return len(tracked_ends([key], now).ends)


def test_what_is_over_ends_once_with_the_words_it_began_with():
    (row,) = tracked_ends([KEY], NOW).ends
    assert (row.alert.incident_id, row.alert.event, row.alert.severity) == ("group:1", "auto_resolved", "high")
    assert row.alert.subject == "[ok] Over: prod: slow"
    assert (row.state, row.decided_at, row.tracked_as) == (AlertState.PENDING, NOW, "")
    assert tracked_ends([KEY], NOW + HOUR).ends[0].alert.alert_id == row.alert.alert_id


def test_an_end_is_as_grave_as_the_gravest_it_ends():
    mild = replace(OPENED, alert_id="m2", severity="low")
    (row,) = tracked_ends([replace(KEY, messages=(OPENED, mild))], NOW).ends
    assert row.alert.severity == "high"


@pytest.mark.parametrize("state", [AlertState.PENDING, AlertState.SUPPRESSED, AlertState.GIVEN_UP])
def test_what_was_not_sent_has_no_end(state):
    assert ends(replace(KEY, messages=(replace(OPENED, state=state),))) == 0


def test_an_end_waits_for_news_that_is_on_its_way():
    news = replace(OPENED, alert_id="m2", state=AlertState.PENDING, ended_at=None)
    assert ends(replace(KEY, messages=(OPENED, news))) == 0


def test_an_end_on_its_way_is_enough():
    assert ends(replace(KEY, ends=(replace(end(NOW), state=AlertState.PENDING, ended_at=None),))) == 0


def test_a_taken_end_settles_what_was_taken_before_it():
    found = tracked_ends([replace(KEY, ends=(end(NOON + HOUR),))], NOW)
    assert (found.ends, found.settled) == ((), ("m1",))


def test_news_that_was_taken_after_an_end_needs_another_one():
    late = replace(OPENED, alert_id="m2", ended_at=NOON + HOUR + MINUTE)
    found = tracked_ends([replace(KEY, messages=(OPENED, late), ends=(end(NOON + HOUR),))], NOW)
    assert (len(found.ends), found.settled) == (1, ("m1",))


def test_what_the_channel_did_not_want_is_settled():
    assert tracked_ends([replace(KEY, messages=(replace(OPENED, state=AlertState.SUPPRESSED),))], NOW).settled == (
        "m1",
    )


@pytest.mark.parametrize(
    ("lost", "again"),
    [
        pytest.param([end(NOW - HOUR, AlertState.GIVEN_UP)], 1, id="given up an hour ago"),
        pytest.param([end(NOW - HOUR, AlertState.SUPPRESSED)], 1, id="dropped outside of the hours"),
        pytest.param([end(NOW - MINUTE, AlertState.GIVEN_UP)], 0, id="given up a minute ago"),
        pytest.param([end(NOW - 7 * DAY - MINUTE, AlertState.GIVEN_UP)], 0, id="given up a week ago"),
        pytest.param([end(NOW - MINUTE, AlertState.SUPPRESSED, AlertRule.GROUPING)], 1, id="never let through"),
    ],
)
def test_a_lost_end_is_told_again_every_hour_for_a_week(lost, again):
    began = replace(OPENED, created_at=NOON - 9 * DAY, ended_at=NOON - 9 * DAY)
    assert ends(replace(KEY, messages=(began,), ends=tuple(lost))) == again


@pytest.mark.parametrize("state", [AlertState.HELD, AlertState.PENDING])
def test_an_end_that_waits_keeps_all_it_was_told_with_open(state):
    waiting = replace(told("auto_resolved", NOON + HOUR, state), decided_at=None)
    assert ends(replace(KEY, told={CLOSED.incident_id: (TOLD, waiting)})) == 0


def test_one_open_incident_keeps_it_open():
    still = replace(CLOSED, state=IncidentState.ACKNOWLEDGED)
    assert ends(replace(KEY, incidents={CLOSED.incident_id: still})) == 0


def test_an_incident_that_is_gone_is_over():
    assert ends(replace(KEY, incidents={})) == 1


def test_a_beginning_whose_incident_is_not_stored_yet_is_waited_for():
    back = told("reopened", NOW - MINUTE)
    key = replace(KEY, told={CLOSED.incident_id: (TOLD, back)})
    assert (ends(key, NOW), ends(key, NOW + HOUR)) == (0, 1)


@pytest.mark.parametrize(("last", "over"), [("auto_resolved", 1), ("recovered", 1), ("reopened", 0), ("escalated", 0)])
def test_the_last_alert_says_how_a_figure_stands(last, over):
    words = (told("opened", NOON), told("auto_resolved", NOON + MINUTE), told(last, NOON + HOUR))
    assert ends(replace(KEY, told={"kpi:orders": words}, incidents={})) == over


def alert(incident_id: str, event: str, **facts) -> Alert:
    return Alert("a", incident_id, event, "pager", "high", NOON, "s", "b", facts)


def test_news_of_a_group_belongs_to_what_the_group_opened():
    assert tracking_key(alert("group:2", "escalated", former="group:1")) == "group:1"
    assert tracked_as(alert("group:2", "opened", former="")) == "group:2"


@pytest.mark.parametrize(
    "quiet", [alert("summary:2026-11-02", "summary"), alert("b", "auto_resolved"), alert("b", "acknowledged")]
)
def test_ends_and_summaries_open_nothing(quiet):
    assert tracked_as(quiet) == ""
