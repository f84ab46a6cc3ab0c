"""`dbplanmon summary`: a day on one page."""

from dataclasses import asdict
from datetime import date, timedelta

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, read_day, utc_now
from dbplanmon_pipeline.cli.output import print_json, print_text
from dbplanmon_pipeline.core.records import Record, hotspot_record, incident_record, plan_change_record
from dbplanmon_pipeline.core.summary.pages import summary_markdown
from dbplanmon_pipeline.core.summary.period import DaySummary
from dbplanmon_pipeline.core.workload.changes import WorkloadChange
from dbplanmon_pipeline.core.workload.quiet import quiet_record
from dbplanmon_pipeline.core.workload.words import busier_record, statement_growth_record
from dbplanmon_pipeline.services.summarise import WEEK


@click.command()
@click.option("--day", metavar="DAY", callback=read_day, help="UTC day as YYYY-MM-DD; default: yesterday.")
@click.option("--week", is_flag=True, help="Seven days, of which this is the last.")
@json_option
@pass_invocation
def summary(invocation: Invocation, day: date | None, week: bool, as_json: bool) -> None:
    """Sum up one UTC day as Markdown: incidents, KPIs, plan changes, dearest statements, and how well we watched."""
    today = utc_now().date()
    if day and day > today:
        raise click.BadParameter(f"{day} has not begun", param_hint="--day")
    wanted = day or today - timedelta(days=1)
    with invocation.session() as session:
        found = session.summarise(wanted, days=WEEK if week else 1)
    if as_json:
        print_json(_facts(found))
    else:
        print_text(summary_markdown(found))


def _facts(found: DaySummary) -> dict[str, object]:
    return {
        "day": found.day,
        "last_day": found.last_day,
        "grade": found.grade,
        "reasons": found.reasons,
        "opened": [incident_record(incident) for incident in found.opened],
        "closed": [incident_record(incident) for incident in found.closed],
        "ongoing": [incident_record(incident) for incident in found.ongoing],
        "plan_changes": [plan_change_record(change) for change in found.plan_changes],
        "hotspots": [hotspot_record(h, found.texts.get((h.ref, h.query_hash), "")) for h in found.hotspots],
        "growth": [_growth(change, found) for change in found.growth],
        "busier": [busier_record(one) for one in found.busier],
        "quiet": [
            quiet_record(one) | {"statement": found.texts.get((one.ref, one.query_hash), "")} for one in found.quiet
        ],
        "databases_read": found.databases_read,
        "databases_silent": found.databases_silent,
        "readings": found.readings,
        "failed_readings": found.failed_readings,
        "gap_seconds": found.gap_seconds,
        "cost_seconds": found.cost_seconds,
        "kpis": [asdict(kpi) for kpi in found.kpis],
        "alerts": dict(found.alerts),
        "load_seconds": [{"hour": load.hour_start, "elapsed_seconds": load.elapsed_seconds} for load in found.loads],
    }


def _growth(change: WorkloadChange, found: DaySummary) -> Record:
    return statement_growth_record(change) | {"statement": found.texts.get((change.ref, change.query_hash), "")}
