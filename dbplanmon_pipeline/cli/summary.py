"""`dbplanmon summary`: a day on one page."""

from datetime import date, timedelta

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, read_day, utc_now
from dbplanmon_pipeline.cli.output import print_json, print_text
from dbplanmon_pipeline.cli.records import hotspot_record, incident_record, plan_change_record
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.summary import DaySummary, render_markdown


@click.command()
@click.option("--day", metavar="DAY", callback=read_day, help="UTC day as YYYY-MM-DD; default: yesterday.")
@json_option
@pass_invocation
def summary(invocation: Invocation, day: date | None, as_json: bool) -> None:
    """Sum up one UTC day as Markdown: incidents, plan changes, dearest statements, and how well we watched."""
    wanted = day or utc_now().date() - timedelta(days=1)
    with invocation.session() as session:
        found = session.summarise(wanted)
        stored = session.store.statement_texts([(h.ref, h.query_hash) for h in found.hotspots])
    texts = {key: one_line(statement.text) for key, statement in stored.items()}
    if as_json:
        print_json(_facts(found, texts))
    else:
        print_text(render_markdown(found, texts))


def _facts(found: DaySummary, texts: dict[tuple[DatabaseRef, int], str]) -> dict[str, object]:
    return {
        "day": found.day,
        "grade": found.grade,
        "reasons": found.reasons,
        "opened": [incident_record(incident) for incident in found.opened],
        "closed": [incident_record(incident) for incident in found.closed],
        "ongoing": [incident_record(incident) for incident in found.ongoing],
        "plan_changes": [plan_change_record(change) for change in found.plan_changes],
        "hotspots": [hotspot_record(h, texts.get((h.ref, h.query_hash), "")) for h in found.hotspots],
        "databases_read": found.databases_read,
        "databases_silent": found.databases_silent,
        "readings": found.readings,
        "failed_readings": found.failed_readings,
    }
