import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.alerts.incident_alerts import ALERTING_EVENTS, alert_for, is_alerting
from dbplanmon_pipeline.core.incidents.incident import (
    IncidentChange,
    IncidentEvent,
    IncidentScope,
    IncidentState,
)
from dbplanmon_pipeline.core.model import Label, Severity, StatementText
from dbplanmon_pipeline.core.ports import Suggestion
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

BEGAN = datetime(2026, 11, 22, 1, 10, tzinfo=UTC)
INCIDENT = replace(
    PLAN_REGRESSION,
    instance="prod-sql-01",
    database="Sales",
    query_hash=0x3F2A,
    plan_hash=0xB,
    previous_plan_hash=0xA,
    effect_ratio=8.17,
    extra_seconds_per_hour=140.2,
    extra_seconds_low=118.0,
    extra_seconds_high=163.4,
    baseline_us=12_000.0,
    observed_us=98_000.0,
    score=21.0,
    began_at=BEGAN,
    opened_at=BEGAN + timedelta(minutes=10),
    updated_at=BEGAN + timedelta(minutes=10),
    last_bad_at=BEGAN + timedelta(minutes=85),
    evidence=("new plan since 01:10",),
)
STATEMENT = StatementText(0x3F2A, "SELECT total FROM dbo.orders WHERE owner_id = @p1")
SUGGESTION = Suggestion(
    suggestion_id="s-1",
    incident_id=INCIDENT.incident_id,
    kind="force_plan",
    risk="low",
    rationale="The plan before is known and was faster.",
    script="EXEC sp_query_store_force_plan @query_id = 4, @plan_id = 7;\n  -- then watch",
    undo_script="",
    created_at=BEGAN,
)


def step(event=IncidentEvent.OPENED, note="", **changes):
    return IncidentChange(event, replace(INCIDENT, **changes), BEGAN + timedelta(minutes=25), note=note)


def made(change=None, **parts):
    given = {
        "channel": "dba",
        "statement": STATEMENT,
        "plan_summary": "dbo.orders is read in full instead of by index",
        "plan_lines": ["Index Scan on ix_owner became Seq Scan"],
        "context_lines": ["statistics of dbo.orders were updated at 01:08"],
        "suggestion": SUGGESTION,
        "command": "dbplanmon incidents show 0123456789ab",
        "link": "https://dbplanmon.example.net/incidents/0123456789ab",
    }
    return alert_for(change or step(), **(given | parts))


def test_an_opened_incident_says_everything_a_dba_needs():
    body = made().body
    for part in [
        "A statement on prod-sql-01/Sales became 8.2x slower than normal with a new plan.",
        "0000000000003f2a",
        "SELECT total FROM dbo.orders WHERE owner_id = @p1",
        "plan regression, severity high",
        "8.2x: 12 ms -> 98 ms CPU time per execution",
        "140 s more CPU time per hour (95 % interval: 118 s to 163 s)",
        "2026-11-22 01:10 UTC (25 min)",
        "000000000000000a -> 000000000000000b",
        "dbo.orders is read in full instead of by index",
        "Index Scan on ix_owner became Seq Scan",
        "statistics of dbo.orders were updated at 01:08",
        "new plan since 01:10",
        "The way back (force plan, risk low; nothing is done by itself):",
        "    EXEC sp_query_store_force_plan @query_id = 4, @plan_id = 7;",
        "dbplanmon incidents show 0123456789ab",
        "https://dbplanmon.example.net/incidents/0123456789ab",
    ]:
        assert part in body, part


def test_the_subject_tells_place_effect_and_cost():
    assert made().subject == (
        "[high] prod-sql-01/Sales: statement 0000000000003f2a is 8.2x slower, +140 s/h (plan regression)"
    )


@pytest.mark.parametrize(
    ("event", "subject", "body"),
    [
        (IncidentEvent.REOPENED, "Back again: statement", "is slow again: 8.2x slower than normal. It had been normal"),
        (
            IncidentEvent.ESCALATED,
            "Escalated: statement",
            "still 8.2x slower than normal after 25 min, severity now high",
        ),
        (
            IncidentEvent.AUTO_RESOLVED,
            "is normal again, after 1 return within 1 h 25 min",
            "is normal again. It had been slow again and again within 1 h 25 min.",
        ),
    ],
)
def test_each_event_has_its_own_wording(event, subject, body):
    alert = made(step(event, reopened_count=1))
    assert subject in alert.subject
    assert body in alert.body
    assert alert.event == event.value


def test_an_end_without_returns_tells_how_long_it_was_slow():
    alert = made(step(IncidentEvent.AUTO_RESOLVED))
    assert "is normal again after 1 h 25 min" in alert.subject
    assert "It had been slow for 1 h 25 min." in alert.body


def test_a_resolved_incident_is_marked_ok_and_asks_for_nothing():
    alert = made(step(IncidentEvent.AUTO_RESOLVED))
    assert alert.subject.startswith("[ok] ")
    assert "The way back" not in alert.body
    assert "Index Scan" not in alert.body


def test_many_returns_ask_for_a_lasting_cure():
    assert "return number 3" in made(step(IncidentEvent.REOPENED, reopened_count=3)).body


def test_escalation_says_whether_somebody_took_it():
    assert "not acknowledged" in made(step(IncidentEvent.ESCALATED)).body
    taken = made(step(IncidentEvent.ESCALATED, state=IncidentState.ACKNOWLEDGED)).body
    assert ", acknowledged." in taken


@pytest.mark.parametrize("event", sorted(set(IncidentEvent) - ALERTING_EVENTS))
def test_other_events_make_no_alert(event):
    assert not is_alerting(event)
    with pytest.raises(ValueError, match="makes no alert"):
        made(step(event))


def test_the_id_depends_on_incident_event_moment_and_channel_only():
    first = made().alert_id
    assert made(step(severity=Severity.LOW), plan_lines=[]).alert_id == first
    assert made(step(IncidentEvent.ESCALATED)).alert_id != first
    assert made(step(incident_id="ba9876543210")).alert_id != first
    assert made(channel="ops").alert_id != first
    assert made(replace(step(), at=BEGAN)).alert_id != first


def test_hostile_text_is_harmless_everywhere():
    evil = "SELECT 1\u202e\x1b[2J\r\nSubject: forged\x00\u2028next"
    alert = made(
        step(database=evil, note=evil, evidence=(evil,)),
        statement=StatementText(1, evil),
        plan_summary=evil,
        plan_lines=[evil],
        context_lines=[evil],
        suggestion=replace(SUGGESTION, rationale=evil, script=evil),
    )
    assert "\n" not in alert.subject
    for text in (alert.subject, alert.body.replace("\n", ""), json.dumps(alert.facts, ensure_ascii=False)):
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]
    assert not [line for line in alert.body.splitlines() if line.startswith("Subject")]


def test_a_long_statement_is_cut():
    alert = made(statement=StatementText(1, "SELECT " + "x, " * 5_000))
    assert len(alert.body) < 3_000
    assert "…" in alert.body
    assert len(alert.subject) <= 180


def test_a_long_list_is_cut_and_counted():
    assert "and 19 more" in made(plan_lines=[f"change {n}" for n in range(30)]).body


def test_a_script_too_long_to_show_is_named_instead_of_cut():
    body = made(suggestion=replace(SUGGESTION, script="ALTER x;\n" * 1_000)).body
    assert "ALTER" not in body
    assert "dbplanmon suggestions show s-1" in body


def test_nothing_known_leaves_no_empty_headings():
    body = made(
        step(previous_plan_hash=0, evidence=()),
        statement=None,
        plan_summary="",
        plan_lines=[],
        context_lines=[],
        suggestion=None,
        link=None,
    ).body
    for heading in ("What changed", "Around", "Evidence", "The way back", "http"):
        assert heading not in body
    assert "(text not known yet)" in body
    assert "(no other plan before)" in body
    assert "with a new plan" not in body


def test_an_instance_incident_names_no_statement():
    change = step(
        scope=IncidentScope.INSTANCE,
        database="",
        query_hash=0,
        metric="",
        label=Label.INSTANCE_SLOWDOWN,
        baseline_us=float("nan"),
        extra_seconds_low=float("nan"),
        extra_seconds_high=float("nan"),
    )
    alert = made(change, statement=None, suggestion=None)
    assert alert.subject == "[high] prod-sql-01: instance is 8.2x slower, +140 s/h (slow instance)"
    assert "Statement" not in alert.body
    assert "nan" not in alert.body
    assert alert.facts["baseline_us"] is None


def test_the_most_plausible_cause_stands_first_in_one_line():
    line = "likely: index ix_owner of dbo.orders is gone (3 min before;\nthe former plan went through it)"
    alert = made(likely_cause=line)
    said = "What may have caused it:\n  - likely: index ix_owner of dbo.orders is gone (3 min before; the former plan"
    assert said in alert.body
    assert alert.body.index("What may have caused it") < alert.body.index("What changed in the plan")
    assert alert.facts["likely_cause"] == line.replace("\n", " ")
    assert "What may have caused it" not in made(step(IncidentEvent.AUTO_RESOLVED), likely_cause=line).body
    assert "What may have caused it" not in made().body


def test_a_database_incident_names_the_database_and_no_statement():
    whole = {"scope": IncidentScope.DATABASE, "query_hash": 0, "label": Label.DATABASE_SLOWDOWN}
    alert = made(step(**whole, database="orders"), statement=None, suggestion=None)
    assert alert.subject == "[high] prod-sql-01/orders: database is 8.2x slower, +140 s/h (slow database)"
    assert "The database on prod-sql-01/orders became 8.2x slower" in alert.body
    assert "Statement" not in alert.body


def test_what_stands_out_in_the_plan_comes_before_what_changed():
    line = "Scan that throws most rows away: Seq Scan on orders"
    alert = made(finding_lines=[line])
    assert alert.body.index(line) < alert.body.index("What changed in the plan")
    assert alert.facts["findings"] == [line]
    assert "What stands out" not in made(step(IncidentEvent.AUTO_RESOLVED), finding_lines=[line]).body


def test_facts_carry_the_same_in_fields():
    facts = made().facts
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["query_hash"] == "0000000000003f2a"
    assert facts["extra_seconds_per_hour"] == 140.2
    assert facts["began_at"] == "2026-11-22T01:10:00+00:00"
    assert facts["suggestion"]["kind"] == "force_plan"
    assert facts["plan_changes"] == ["Index Scan on ix_owner became Seq Scan"]


def test_what_the_server_itself_advises_stands_beside_our_verdict():
    advice = "score 45: force the former plan; state Active"
    alert = made(engine_advice=advice)
    assert f"What the server itself advises:\n  - {advice}" in alert.body
    assert alert.facts["engine_advice"] == advice
    assert "advises" not in made().body
