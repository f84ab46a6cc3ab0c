"""`dbplanmon incidents`: what is slow, why, and what was decided about it."""

from datetime import timedelta

import click

from dbplanmon_pipeline.cli.incident_page import print_incident
from dbplanmon_pipeline.cli.invocation import (
    Invocation,
    json_option,
    operating_system_user,
    pass_invocation,
    read_span,
    utc_now,
)
from dbplanmon_pipeline.cli.output import Cell, print_json, print_line, print_table
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import ratio_words
from dbplanmon_pipeline.core.records import (
    change_record,
    incident_record,
    place,
)
from dbplanmon_pipeline.core.remedies.remediation import ways_back
from dbplanmon_pipeline.services.decide_incident import find_incident
from dbplanmon_pipeline.services.explain import explain_incident
from dbplanmon_pipeline.services.explanation_record import explanation_record

OPEN_STATES = tuple(state for state in IncidentState if state.is_open)

actor_option = click.option("--actor", metavar="NAME", help="Who decides; default: the user of the operating system.")
note_option = click.option("--note", default="", help="Why, in a sentence; kept with the incident.")


@click.group()
def incidents() -> None:
    """List and show incidents, acknowledge, close and reopen them."""


@incidents.command("list")
@click.option("--all", "every", is_flag=True, help="Closed ones, too.")
@click.option("--since", metavar="DURATION", callback=read_span, help="Only those changed within, such as 7d.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@json_option
@pass_invocation
def list_incidents(invocation: Invocation, every: bool, since: timedelta | None, limit: int, as_json: bool) -> None:
    """List open incidents, the last changed first."""
    with invocation.session() as session:
        found = session.store.incidents(
            states=None if every else OPEN_STATES, since=utc_now() - since if since else None, limit=limit
        )
    if as_json:
        print_json({"incidents": [incident_record(incident) for incident in found]})
        return
    print_table(
        (
            "incident",
            "state",
            "severity",
            "label",
            "where",
            "query",
            "times",
            "extra s/h",
            "since (UTC)",
            "normal again",
        ),
        [_row(incident) for incident in found],
        empty="no incidents" if every else "no open incidents",
    )


def _row(incident: Incident) -> tuple[Cell, ...]:
    return (
        incident.incident_id,
        incident.state.value,
        incident.severity.value,
        incident.label.value,
        place(incident),
        hash_text(incident.query_hash),
        ratio_words(incident.effect_ratio),
        round(incident.extra_seconds_per_hour, 1),
        incident.began_at,
        incident.calm_since if incident.state.is_open else None,
    )


@incidents.command("show")
@click.argument("incident_id")
@json_option
@pass_invocation
def show_incident(invocation: Invocation, incident_id: str, as_json: bool) -> None:
    """Show one incident: figures, statement, plan difference, what changed around it, way back and history.

    INCIDENT_ID may be shortened as long as it is unique.
    """
    from dbplanmon_pipeline.composition.fingerprints import stored_fingerprint  # noqa: PLC0415 - see `Invocation.session`

    with invocation.session() as session:
        incident = find_incident(session.store, incident_id)
        explanation = explain_incident(session.store, incident, session.dialect(incident.instance))
        history = session.store.incident_events(incident.incident_id)
        suggestions = ways_back(session.store.suggestions([incident.incident_id]), explanation.suggestions)
        settings = session.settings
    if not as_json:
        print_incident(incident, explanation, suggestions, history)
        return
    record = explanation_record(incident, explanation, suggestions, history)
    print_json(record | {"fingerprint": stored_fingerprint(settings, incident.instance, record["statement"])})


@incidents.command("ack")
@click.argument("incident_id")
@actor_option
@note_option
@json_option
@pass_invocation
def ack(invocation: Invocation, incident_id: str, actor: str | None, note: str, as_json: bool) -> None:
    """Acknowledge an incident: somebody takes care of it."""
    _decide(invocation, incident_id, IncidentEvent.ACKNOWLEDGED, actor, note, as_json=as_json)


@incidents.command("resolve")
@click.argument("incident_id")
@actor_option
@note_option
@json_option
@pass_invocation
def resolve(invocation: Invocation, incident_id: str, actor: str | None, note: str, as_json: bool) -> None:
    """Close an incident as cured; it opens again when the statement is still slow half an hour later."""
    _decide(invocation, incident_id, IncidentEvent.RESOLVED, actor, note, as_json=as_json)


@incidents.command("dismiss")
@click.argument("incident_id")
@actor_option
@note_option
@json_option
@pass_invocation
def dismiss(invocation: Invocation, incident_id: str, actor: str | None, note: str, as_json: bool) -> None:
    """Close an incident as harmless; it stays away for a week unless it gets worse."""
    _decide(invocation, incident_id, IncidentEvent.DISMISSED, actor, note, as_json=as_json)


@incidents.command("reopen")
@click.argument("incident_id")
@actor_option
@click.option("--note", required=True, help="Why, in a sentence; kept with the incident.")
@json_option
@pass_invocation
def reopen(invocation: Invocation, incident_id: str, actor: str | None, note: str, as_json: bool) -> None:
    """Open an incident again that was closed too early; it is judged like any other from then on."""
    _decide(invocation, incident_id, IncidentEvent.REOPENED, actor, note, as_json=as_json)


def _decide(
    invocation: Invocation, incident_id: str, event: IncidentEvent, actor: str | None, note: str, *, as_json: bool
) -> None:
    from dbplanmon_pipeline.composition.decisions import (  # noqa: PLC0415 - see `Invocation.session`
        decide_by_person,
    )

    who = actor or operating_system_user()
    with invocation.session() as session:
        change = decide_by_person(
            session.store, session.settings, incident_id, event, actor=who, at=utc_now(), note=note
        )
    incident = change.incident
    if as_json:
        print_json({"incident_id": incident.incident_id, **change_record(change)})
    else:
        done = "reopened" if change.event is IncidentEvent.REOPENED else incident.state.value
        print_line(f"incident {incident.incident_id} on {place(incident)} is {done} by {who}")
