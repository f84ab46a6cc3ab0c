"""`dbplanmon suggestions`: ways back that were written down; none is ever executed."""

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_fields, print_json, print_table, print_text
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Suggestion
from dbplanmon_pipeline.core.records import suggestion_record
from dbplanmon_pipeline.services.decide_incident import find_incident

RATIONALE_LIMIT = 100


@click.group()
def suggestions() -> None:
    """List and show ways back."""


@suggestions.command("list")
@click.option("--incident", "incident_id", metavar="ID", help="Only those of one incident.")
@click.option("--all", "every", is_flag=True, help="Those of closed incidents, too.")
@json_option
@pass_invocation
def list_suggestions(invocation: Invocation, incident_id: str | None, every: bool, as_json: bool) -> None:
    """List ways back of open incidents, the newest first."""
    with invocation.session() as session:
        if incident_id:
            wanted: list[str] | None = [find_incident(session.store, incident_id).incident_id]
        else:
            wanted = None if every else [incident.incident_id for incident in session.store.open_incidents()]
        found = session.store.suggestions(wanted) if wanted != [] else []
    if as_json:
        print_json({"suggestions": [suggestion_record(suggestion) for suggestion in found]})
        return
    print_table(
        ("suggestion", "incident", "kind", "risk", "made (UTC)", "why"),
        [
            (s.suggestion_id, s.incident_id, s.kind, s.risk, s.created_at, one_line(s.rationale, RATIONALE_LIMIT))
            for s in found
        ],
        empty="no suggestions",
    )


@suggestions.command("show")
@click.argument("suggestion_id")
@json_option
@pass_invocation
def show_suggestion(invocation: Invocation, suggestion_id: str, as_json: bool) -> None:
    """Show one way back with its script and the script that undoes it.

    SUGGESTION_ID may be shortened as long as it is unique.
    """
    with invocation.session() as session:
        suggestion = _find(session.store.suggestions(), suggestion_id)
    if as_json:
        print_json(suggestion_record(suggestion))
        return
    print_fields(
        [
            ("suggestion", suggestion.suggestion_id),
            ("incident", suggestion.incident_id),
            ("kind", suggestion.kind),
            ("risk", suggestion.risk),
            ("made", suggestion.created_at),
            ("why", suggestion.rationale),
        ]
    )
    for title, script in (("Script", suggestion.script), ("To undo it", suggestion.undo_script)):
        if script.strip():
            click.echo(f"\n{title}")
            print_text(script, indent="    ")


def _find(known: list[Suggestion], wanted: str) -> Suggestion:
    exact = [s for s in known if s.suggestion_id == wanted]
    found = exact or [s for s in known if wanted and s.suggestion_id.startswith(wanted)]
    if not found:
        raise click.ClickException(f"no suggestion {wanted!r}; see dbplanmon suggestions list --all")
    if len(found) > 1:
        raise click.ClickException(f"{wanted!r} is the start of {len(found)} suggestions; give more of it")
    return found[0]
