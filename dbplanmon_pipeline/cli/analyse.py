"""`dbplanmon analyse`: verdicts on what was recorded."""

from datetime import datetime

import click

from dbplanmon_pipeline.cli.incident_page import calm_words
from dbplanmon_pipeline.cli.invocation import Invocation, as_of_option, json_option, pass_invocation, utc_now
from dbplanmon_pipeline.cli.output import print_json, print_line, print_section, print_table
from dbplanmon_pipeline.core.incidents.incident import IncidentChange
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import counted, moment_words, ratio_words, seconds_words
from dbplanmon_pipeline.core.readings.failures import failing_words
from dbplanmon_pipeline.core.records import change_record, incident_record, place, plan_change_record
from dbplanmon_pipeline.services.analyse import AnalysisReport
from dbplanmon_pipeline.services.process_alerts import AlertReport


@click.command()
@as_of_option
@click.option("--send/--no-send", default=None, help="Send queued alerts afterwards; by default only without --as-of.")
@json_option
@pass_invocation
def analyse(invocation: Invocation, as_of: datetime | None, send: bool | None, as_json: bool) -> None:
    """Judge what was recorded since the last analysis, or the one tick that ended by --as-of."""
    sends = as_of is None if send is None else send
    with invocation.session() as session:
        report = session.analyse(as_of)
        suggestions = session.suggest_remediations()
        delivered = session.process_alerts() if sends else None
        newest = session.store.newest_baseline(utc_now(), session.detector.layout)
    if as_json:
        print_json({**_facts(report, delivered), "suggestions": len(suggestions.suggestions)})
    else:
        _print(report, delivered, newest[0] if newest else None)


def _facts(report: AnalysisReport, delivered: AlertReport | None) -> dict[str, object]:
    return {
        "as_of": report.as_of,
        "ticks": report.ticks,
        "judged": report.judged,
        "unjudged": report.unjudged,
        "held_back": report.held_back,
        "changes": [{"incident_id": change.incident.incident_id, **change_record(change)} for change in report.changes],
        "plan_changes": [plan_change_record(change) for change in report.plan_changes],
        "open_incidents": [incident_record(incident) for incident in report.open_incidents],
        "alerts_queued": report.alerts,
        "alerts_sent": delivered.sent if delivered else 0,
        "alerts_failed": delivered.failed + delivered.dropped if delivered else 0,
    }


def _print(report: AnalysisReport, delivered: AlertReport | None, learnt_at: datetime | None) -> None:
    if report.as_of is None:
        print_line("nothing recorded yet: run dbplanmon collect, twice at least")
        return
    print_line(
        f"{counted(report.ticks, 'tick')} up to {moment_words(report.as_of)}: "
        f"{counted(report.judged, 'statement')} judged, "
        f"{report.unjudged:,} without a baseline"
    )
    if report.held_back:
        print_line(
            f"{report.held_back:,} slower since a restart and held back: caches are cold, so it may be over soon"
        )
    if report.judged == 0 and report.unjudged:
        print_line(_why_unjudged(report.as_of, learnt_at))
    print_section("Incidents", [_step(change) for change in report.changes])
    print_section(
        "Plan changes",
        [f"{c.ref} {hash_text(c.query_hash)}: {c.summary or 'another plan'}" for c in report.plan_changes],
    )
    click.echo()
    print_table(
        ("incident", "state", "severity", "label", "where", "times", "extra s/h"),
        [
            (
                i.incident_id,
                i.state.value,
                i.severity.value,
                i.label.value,
                place(i),
                ratio_words(i.effect_ratio),
                i.extra_seconds_per_hour,
            )
            for i in report.open_incidents
        ],
        empty="no open incidents",
    )
    if delivered and (delivered.sent or delivered.failed or delivered.dropped):
        print_line(f"alerts: {delivered.sent} sent, {delivered.failed} to be tried again, {delivered.dropped} given up")


def _why_unjudged(as_of: datetime, learnt_at: datetime | None) -> str:
    """What to do where nothing could be judged; a baseline judges what ended after it was learnt."""
    if learnt_at is None:
        return "no statement has a baseline yet: run dbplanmon baselines once a few hours are recorded"
    if learnt_at > as_of:
        return f"the baselines of {moment_words(learnt_at)} are younger: they judge from the next collection on"
    return "none of these statements has a baseline yet: dbplanmon baselines learns what is normal for them"


def _step(change: IncidentChange) -> str:
    incident = change.incident
    what = f"{change.event.value} {incident.incident_id} {place(incident)} {hash_text(incident.query_hash)}".rstrip()
    if calm := calm_words(incident):
        return f"{what}: {calm}"
    if incident.failing:
        return f"{what}: {failing_words(incident.failing)}"
    return (
        f"{what}: {ratio_words(incident.effect_ratio)}, {seconds_words(incident.extra_seconds_per_hour)} more per hour"
    )
