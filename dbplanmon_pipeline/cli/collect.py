"""`dbplanmon collect`: one reading of the fleet."""

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus
from dbplanmon_pipeline.core.plain_words import counted
from dbplanmon_pipeline.core.records import outcome_record
from dbplanmon_pipeline.services.collect import CollectionReport

GOOD = (CollectionStatus.OK, CollectionStatus.FIRST_READING, CollectionStatus.SPOOLED)
SHOWN_GOOD = 50
"""A fleet of thousands is summed up; what failed is always listed."""


@click.command()
@click.option("--only", multiple=True, metavar="TARGET", help="An instance, or instance/database; may be repeated.")
@json_option
@pass_invocation
@click.pass_context
def collect(ctx: click.Context, invocation: Invocation, only: tuple[str, ...], as_json: bool) -> None:
    """Read every target once and store what ran since its last reading.

    While the store is away, readings are kept on disk (`collection.spool`) and recorded by the next collection that
    finds it. Exits with 1 then, and when too many targets could not be read (`collection.failure_threshold`).
    """
    with invocation.session(needs_store=False) as session:
        report = session.collect(only)
        failed = session.remember_collection(report)
    if as_json:
        print_json(
            {
                "tick": report.tick,
                "duration_seconds": round(report.duration_seconds, 3),
                "rows": report.rows,
                "failed": len(report.failed),
                "skipped": len(report.skipped),
                "spooled": len(report.spooled),
                "recorded_later": report.replayed.readings,
                "store_failure": report.store_failure,
                "outcomes": [outcome_record(outcome) for outcome in report.outcomes],
            }
        )
    else:
        _print(report)
    if failed:
        ctx.exit(1)


def _print(report: CollectionReport) -> None:
    good = [o for o in report.outcomes if o.status in GOOD]
    bad = [o for o in report.outcomes if o not in good]
    print_table(
        ("target", "status", "rows", "read", "new plans", "plan changes", "ms", "message"),
        [_row(outcome) for outcome in (*bad, *good[:SHOWN_GOOD])],
        empty="no targets: name your servers under `instances` in the settings",
    )
    if len(good) > SHOWN_GOOD:
        print_line(f"... and {len(good) - SHOWN_GOOD} more that went well")
    targets = counted(len(report.outcomes), "target")
    print_line(
        f"{report.rows:,} interval rows of {targets} in {report.duration_seconds:.1f} s, "
        f"{len(report.failed)} failed, {len(report.skipped)} skipped; tick {report.tick:%Y-%m-%d %H:%M:%S} UTC"
    )
    _print_spool(report)


def _print_spool(report: CollectionReport) -> None:
    """What the store missed, if anything."""
    if report.replayed.readings:
        print_line(f"before that: {report.replayed.readings:,} readings from while the store was away")
    if lost := report.spool_lost.readings:
        print_line(f"lost: {lost:,} readings from while the store was away, {report.spool_lost.reason}")
    if report.store_failure:
        print_line(f"{report.store_failure}; kept on disk until it is back: {counted(len(report.spooled), 'reading')}")


def _row(o: CollectionOutcome) -> tuple[str | int, ...]:
    status = o.status.value if not o.error_class else f"{o.status.value}: {o.error_class}"
    return (
        str(o.ref),
        status,
        o.rows,
        o.statements_read,
        o.new_plans,
        o.plan_changes,
        round(o.duration_ms),
        o.message,
    )
