"""Slack, Teams, PagerDuty and Apprise against a real HTTP server; what they say is bounded and harmless."""

import json
import logging
import time
from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.errors import NotificationError
from dbplanmon_pipeline.notify import AppriseChannel, PagerDutyChannel, SlackChannel, TeamsChannel
from dbplanmon_pipeline.notify.slack import SECTION_CHARACTERS, slack_document
from dbplanmon_pipeline.notify.teams import MAX_BODY_BYTES as TEAMS_BYTES
from dbplanmon_pipeline.notify.teams import teams_body
from dbplanmon_pipeline_tests.notify.test_webhook import http_server, raw_server

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FACTS = {
    "instance": "prod",
    "database": "Sales",
    "query_hash": "00ff",
    "label": "plan_regression",
    "link": "https://dbplanmon.example.net/incidents/0bad",
    "html": "<p>only for mail</p>",
    "pictures": {"plot": "AAAA"},
}
BODY = "A statement became 8x slower.\n\nWhere      prod/Sales\nStatement  SELECT <@U1> ``` & [x](http://evil)\n"


def alert(event="opened", *, incident="0badcafe", severity="high", subject="[high] slow", body=BODY, facts=FACTS):
    return Alert("id-1", incident, event, "dba", severity, NOW, subject, body, facts)


def posted(make, *alerts, status=200):
    """Paths and documents that arrive at a server."""
    with http_server(status) as (port, seen):
        channel = make(f"http://127.0.0.1:{port}")
        for each in alerts:
            channel.send(each)
    return [(path, json.loads(body), headers) for path, headers, body in seen]


def test_slack_gets_blocks_in_which_no_text_is_a_command():
    ((path, document, headers),) = posted(lambda base: SlackChannel("dba", lambda: f"{base}/services/T0"), alert())
    assert (path, headers["idempotency-key"]) == ("/services/T0", "id-1")
    kinds = [block["type"] for block in document["blocks"]]
    assert kinds == ["header", "section", "section", "section", "actions", "context"]
    code = document["blocks"][3]["text"]["text"]
    assert "&lt;@U1&gt; ''' &amp;" in code
    assert code.count("```") == 2
    assert document["blocks"][4]["elements"][0]["url"] == FACTS["link"]
    assert "only for mail" not in json.dumps(document)


def test_slack_gets_no_more_than_it_takes():
    huge = alert(subject="s" * 9_000, body="h" * 9_000 + "\n\n" + "&<>" * 50_000 + "\n" + "line\n" * 5_000)
    document = slack_document(huge)
    assert len(document["blocks"]) <= 50
    assert len(document["blocks"][0]["text"]["text"]) <= 150
    texts = [block["text"]["text"] for block in document["blocks"] if "text" in block]
    assert max(map(len, texts)) <= SECTION_CHARACTERS


def test_teams_gets_a_card_that_holds_foreign_text_without_markdown():
    ((_, document, _),) = posted(lambda base: TeamsChannel("dba", lambda: base), alert())
    card = document["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard"
    assert {part["type"] for part in card["body"]} == {"RichTextBlock"}
    said = [run["text"] for part in card["body"] for run in part["inlines"]]
    assert "Statement  SELECT <@U1> ``` & [x](http://evil)" in said
    assert card["actions"][0]["url"] == FACTS["link"]


def test_teams_gets_no_more_than_it_takes():
    assert len(teams_body(alert(body="head\n\n" + ("表" * 500 + "\n") * 200))) <= TEAMS_BYTES


def pager(base):
    return PagerDutyChannel("dba", lambda: "R0UT1NG", base_url=lambda: f"{base}/")


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("opened", "trigger"),
        ("reopened", "trigger"),
        ("escalated", "trigger"),
        ("acknowledged", "acknowledge"),
        ("resolved", "resolve"),
        ("dismissed", "resolve"),
        ("auto_resolved", "resolve"),
    ],
)
def test_pagerduty_follows_the_life_of_an_incident(event, action):
    ((path, document, _),) = posted(pager, alert(event), status=202)
    assert path == "/v2/enqueue"
    assert (document["event_action"], document["dedup_key"]) == (action, "0badcafe")
    assert document["routing_key"] == "R0UT1NG"


@pytest.mark.parametrize(
    ("ours", "theirs"), [("low", "info"), ("medium", "warning"), ("high", "error"), ("critical", "critical")]
)
def test_pagerduty_gets_its_own_words_of_severity(ours, theirs):
    ((_, document, _),) = posted(pager, alert(severity=ours), status=202)
    payload = document["payload"]
    assert (payload["severity"], payload["source"], payload["component"]) == (theirs, "prod/Sales", "Sales")
    assert "html" not in payload["custom_details"]["facts"]


@pytest.mark.parametrize("quiet", [alert("summary", incident="summary:2026-11-22"), alert("test", incident="test")])
def test_a_summary_or_a_test_wakes_nobody(quiet):
    ((path, document, _),) = posted(pager, quiet, status=202)
    assert path == "/v2/change/enqueue"
    assert "event_action" not in document


def test_a_link_that_is_none_becomes_no_button():
    odd = alert(facts={"link": "javascript:alert(1)"})
    assert "actions" not in {block["type"] for block in slack_document(odd)["blocks"]}


@pytest.mark.parametrize("make", [lambda url: SlackChannel("dba", url), lambda url: TeamsChannel("dba", url)])
def test_every_channel_of_http_knows_a_refusal_from_a_pause(make):
    with http_server(429, {"Retry-After": "30"}) as (port, _), pytest.raises(RetryLater) as busy:
        make(lambda: f"http://127.0.0.1:{port}/s3cr3t").send(alert())
    with http_server(404) as (port, _), pytest.raises(NotificationError) as gone:
        make(lambda: f"http://127.0.0.1:{port}/s3cr3t").send(alert())
    assert busy.value.retry_after_seconds == 30
    assert not gone.value.transient
    assert "s3cr3t" not in str(busy.value) + str(gone.value)


def test_a_slow_drip_is_given_up_in_time():
    def drip(connection):
        try:
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100:
                connection.sendall(bytes([letter]))
                time.sleep(0.05)
        except OSError:
            pass

    with raw_server(drip) as port:
        channel = SlackChannel("dba", lambda: f"http://127.0.0.1:{port}/", timeout_s=0.4)
        began = time.monotonic()
        with pytest.raises(RetryLater, match=r"did not answer within 0.4 s"):
            channel.send(alert())
        assert time.monotonic() - began < 5


def test_apprise_reaches_any_service_by_url(caplog):
    with http_server() as (port, seen), caplog.at_level(logging.DEBUG):
        AppriseChannel("any", lambda: f"json://bot:hunter2@127.0.0.1:{port}/s3cr3t").send(alert())
    ((path, _, body),) = seen
    document = json.loads(body)
    assert (path, document["title"], document["type"]) == ("/s3cr3t", "[high] slow", "failure")
    assert "Where      prod/Sales" in document["message"]
    assert "hunter2" not in caplog.text
    assert "s3cr3t" not in caplog.text


def test_what_apprise_cannot_send_may_pass_and_a_url_it_does_not_know_is_final():
    with http_server(500) as (port, _), pytest.raises(RetryLater) as failed:
        AppriseChannel("any", lambda: f"json://bot:hunter2@127.0.0.1:{port}").send(alert())
    with pytest.raises(NotificationError) as unknown:
        AppriseChannel("any", lambda: "pigeon://hunter2").send(alert())
    assert not unknown.value.transient
    assert "hunter2" not in str(failed.value) + str(unknown.value)
