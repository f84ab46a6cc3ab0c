"""Who is told of what, as the settings say."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from dbplanmon_pipeline.composition.alert_rules import alert_policy, alert_routes
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.settings import Settings

CHANNELS = [{"type": "log", "name": name} for name in ("dba", "ops", "boss")]


def settings_of(**alerts) -> Settings:
    return Settings.model_validate({"alerts": {"channels": CHANNELS, **alerts}})


def told(settings: Settings, event: IncidentEvent, severity: Severity = Severity.HIGH) -> tuple[str, ...]:
    return alert_routes(settings).channels(event, severity)


def test_by_default_all_are_told_and_all_are_reminded_once():
    settings = settings_of()
    (level,) = alert_policy(settings).levels
    assert (level.after, level.channels) == (timedelta(hours=1), ("dba", "ops", "boss"))
    assert told(settings, IncidentEvent.OPENED) == ("dba", "ops", "boss")


def test_a_channel_that_a_step_names_is_not_told_at_once():
    settings = settings_of(escalation=[{"after": "2h", "channels": ["boss"], "minimum_severity": "high"}])
    assert told(settings, IncidentEvent.OPENED) == ("dba", "ops")
    assert told(settings, IncidentEvent.AUTO_RESOLVED) == ("dba", "ops", "boss")


def test_rising_severity_tells_the_first_step_at_once_if_it_is_bad_enough():
    settings = settings_of(escalation=[{"after": "2h", "channels": ["boss"], "minimum_severity": "high"}])
    assert told(settings, IncidentEvent.ESCALATED) == ("dba", "ops", "boss")
    assert told(settings, IncidentEvent.ESCALATED, Severity.MEDIUM) == ("dba", "ops")


def test_first_channels_can_be_chosen():
    settings = settings_of(escalation=[{"after": "1h"}], first_channels=["ops"])
    assert told(settings, IncidentEvent.OPENED) == ("ops",)
    assert alert_policy(settings).levels[0].channels == ("dba", "ops", "boss")


def test_where_every_channel_is_named_by_a_step_all_are_told_at_once():
    settings = settings_of(escalation=[{"after": "1h", "channels": ["dba", "ops", "boss"]}])
    assert told(settings, IncidentEvent.OPENED) == ("dba", "ops", "boss")


@pytest.mark.parametrize(
    ("alerts", "words"),
    [
        ({"escalation": [{"after": "1h", "channels": ["bos"]}]}, "no channel is named 'bos'"),
        ({"first_channels": ["nobody"]}, "first_channels: no channel is named 'nobody'"),
        ({"escalation": [{"after": "2h"}, {"after": "1h"}]}, "in the order of their times"),
    ],
    ids=["step", "first", "order"],
)
def test_what_cannot_be_is_refused(alerts, words):
    with pytest.raises(ValidationError, match=words):
        settings_of(**alerts)


def test_pagerduty_is_told_of_every_end_while_it_is_enabled():
    pager = {"type": "pagerduty", "name": "pager", "routing_key": "env:PAGER_KEY"}
    settings = settings_of(channels=[*CHANNELS, pager, {**pager, "name": "off", "enabled": False}])
    assert alert_policy(settings).trackers == {"pager"}
