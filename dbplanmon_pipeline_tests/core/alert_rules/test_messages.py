"""Messages about several statements say what is wrong with them: slower, failing, or some of each."""

from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.alert_rules.messages import group_message, joined_message
from dbplanmon_pipeline.core.alert_rules.policy import UNACKNOWLEDGED
from dbplanmon_pipeline.core.model import Label
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import ToldGroup

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLOW, FAILING = Label.PLAN_REGRESSION, Label.FAILING


def alerts(event, *labels):
    return [
        Alert(
            alert_id=f"a{number}",
            incident_id=f"i{number}",
            event=event,
            channel="mail",
            severity="high",
            created_at=NOON,
            subject=f"[high] statement {number}",
            body="",
            facts={"instance": "shop", "label": label.value},
        )
        for number, label in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("event", "labels", "words"),
    [
        ("opened", (SLOW, SLOW), "2 statements got slower together (statistics)"),
        ("opened", (FAILING, FAILING), "2 statements fail together since their plans changed (statistics)"),
        ("opened", (FAILING, SLOW), "2 statements got slower or fail together (statistics)"),
        ("reopened", (FAILING, FAILING), "2 statements fail again (statistics)"),
        ("reopened", (SLOW, FAILING), "2 statements are slow or fail again (statistics)"),
        ("escalated", (FAILING, SLOW), "2 statements got worse (statistics)"),
        ("auto_resolved", (FAILING, FAILING), "2 statements are normal again (statistics)"),
        (UNACKNOWLEDGED, (FAILING, FAILING), "2 statements fail and nobody took them (statistics)"),
    ],
)
def test_a_group_says_what_its_statements_have(event, labels, words):
    message = group_message(alerts(event, *labels), "statistics")
    assert message.subject.endswith(f"shop: {words}")
    assert message.body.startswith(words.replace(" (statistics)", " on shop: statistics."))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ((SLOW,), "1 more statement got slower with the 3 told before"),
        ((FAILING,), "1 more statement fails with the 3 told before"),
        ((FAILING, FAILING), "2 more statements fail with the 3 told before"),
        ((SLOW, FAILING), "2 more statements got slower or fail with the 3 told before"),
    ],
)
def test_so_do_those_that_join_it(labels, words):
    group = ToldGroup("group:1", "mail", "shop", "statistics", 3, NOON)
    assert words in joined_message(alerts("opened", *labels), group).subject
