import logging
from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.notify import ChannelSpec, LogChannel, WebhookChannel, build_channels

ALERT = Alert(
    "id-1",
    "incident-1",
    "opened",
    "log",
    "high",
    datetime(2026, 11, 22, tzinfo=UTC),
    "[high] a/b: statement is 8x slower",
    "body",
    {"instance": "a", "database": "b", "effect_ratio": 8.0},
)


def test_channels_are_built_in_order_without_resolving_a_secret():
    asked = []
    specs = [
        ChannelSpec("log", "console"),
        ChannelSpec(
            "webhook",
            "hook",
            {"url": lambda: asked.append(1) or "http://x", "secret": "k", "headers": {"X-A": "b"}, "timeout_s": 5},
        ),
    ]
    channels = build_channels(specs)
    assert [type(channel) for channel in channels] == [LogChannel, WebhookChannel]
    assert [channel.name for channel in channels] == ["console", "hook"]
    assert asked == []


def test_a_specification_does_not_show_its_secrets():
    assert "hunter2" not in repr(ChannelSpec("webhook", "hook", {"url": "http://x:hunter2@y"}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            ChannelSpec("pigeon", "p"),
            "unknown type 'pigeon'; known are apprise, email, log, pagerduty, slack, teams, webhook",
        ),
        (ChannelSpec("log", "l", {"url": "x"}), "'l' has the unknown option 'url'"),
        (ChannelSpec("webhook", "w"), "'w' needs a url"),
        (ChannelSpec("webhook", "w", {"url": 5}), "url must be a text"),
        (ChannelSpec("webhook", "w", {"url": "http://x", "timeout_s": 0}), "timeout_s must be a number above 0"),
        (ChannelSpec("webhook", "w", {"url": "http://x", "timeout_s": True}), "timeout_s must be a number"),
        (ChannelSpec("webhook", "w", {"url": "http://x", "headers": ["a"]}), "headers must map names to texts"),
    ],
)
def test_wrong_specifications_are_refused(spec, message):
    with pytest.raises(SettingsError, match=message):
        build_channels([spec])


def test_all_problems_are_said_at_once():
    with pytest.raises(SettingsError, match=r"unknown type.*needs a url.*'w' is used twice"):
        build_channels([ChannelSpec("pigeon", "p"), ChannelSpec("webhook", "w"), ChannelSpec("log", "w")])


def test_the_log_channel_writes_one_structured_record(caplog):
    with caplog.at_level(logging.INFO):
        LogChannel("console").send(ALERT)
    (record,) = caplog.records
    assert record.getMessage() == ALERT.subject
    assert record.levelno == logging.WARNING
    wanted = {"event": "alert", "alert_id": "id-1", "incident_id": "incident-1", "instance": "a", "database": "b"}
    assert wanted.items() <= record.__dict__.items()
    assert record.__dict__["facts"] == dict(ALERT.facts)


@pytest.mark.parametrize(
    ("event", "severity", "level"),
    [("opened", "low", "INFO"), ("opened", "critical", "ERROR"), ("auto_resolved", "critical", "INFO")],
)
def test_the_level_follows_the_severity(caplog, event, severity, level):
    alert = Alert("i", "x", event, "log", severity, ALERT.created_at, "s", "b")
    with caplog.at_level(logging.DEBUG):
        LogChannel().send(alert)
    assert caplog.records[0].levelname == level


def test_a_percent_sign_in_a_subject_is_no_format(caplog):
    alert = Alert("i", "x", "opened", "log", "low", ALERT.created_at, "100 %s done\nforged line", "b")
    with caplog.at_level(logging.DEBUG):
        LogChannel().send(alert)
    assert caplog.records[0].getMessage() == "100 %s done forged line"
