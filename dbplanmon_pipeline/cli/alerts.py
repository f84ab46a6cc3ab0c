"""`dbplanmon alerts`: every message, what was decided about it, and why."""

from collections import Counter
from datetime import timedelta

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, read_span, utc_now
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.core.records_of_people import alert_row_record

SUBJECT_LIMIT, REASON_LIMIT = 100, 100


@click.group()
def alerts() -> None:
    """List alerts: sent, waiting, muted, suppressed or told together."""


@alerts.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in AlertState]),
    help="Only in this state; may be repeated.",
)
@click.option("--since", metavar="DURATION", callback=read_span, help="Only those created within, such as 7d.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@json_option
@pass_invocation
def list_alerts(
    invocation: Invocation, states: tuple[str, ...], since: timedelta | None, limit: int, as_json: bool
) -> None:
    """List alerts with what was decided about them, the newest first, and count all by state."""
    begin = utc_now() - since if since else None
    with invocation.session() as session:
        found = session.store.alert_rows(states=states or None, since=begin, limit=limit)
        decided = session.store.alert_decisions(begin)
    counts: Counter[str] = Counter()
    for (state, _), count in decided.items():
        counts[state.value] += count
    if as_json:
        rules = [{"state": state, "rule": rule, "count": n} for (state, rule), n in sorted(decided.items())]
        print_json({"alerts": [alert_row_record(row) for row in found], "counts": dict(counts), "decisions": rules})
        return
    print_table(
        ("at (UTC)", "channel", "state", "rule", "subject", "why"),
        [
            (
                row.alert.created_at,
                row.alert.channel,
                row.state.value,
                row.rule.value,
                one_line(row.alert.subject, SUBJECT_LIMIT),
                one_line(row.reason, REASON_LIMIT),
            )
            for row in found
        ],
        empty="no alerts",
    )
    if counts:
        print_line(f"in all: {', '.join(f'{count} {state}' for state, count in sorted(counts.items()))}")
