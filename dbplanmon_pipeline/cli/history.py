"""`dbplanmon history`: import what the monitored engines still know from before they were watched."""

from collections.abc import Sequence

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, utc_now
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.ports import ImportStatus
from dbplanmon_pipeline.core.readings.history_days import days_before
from dbplanmon_pipeline.core.records import Record
from dbplanmon_pipeline.services.import_history import HistoryOutcome, HistoryReport

USUAL_DAYS = 30
"""Query Store keeps so many days by default."""


@click.command()
@click.argument("databases", nargs=-1, metavar="[DATABASE]...")
@click.option(
    "--days",
    type=click.IntRange(1, 400),
    default=USUAL_DAYS,
    show_default=True,
    metavar="N",
    help="How many UTC days to go back, today included.",
)
@json_option
@pass_invocation
@click.pass_context
def history(ctx: click.Context, invocation: Invocation, databases: tuple[str, ...], days: int, as_json: bool) -> None:
    """Import history of every database, or only of DATABASE (an instance, or instance/database).

    Exits with 1 when the history of a database could not be read.
    """
    wanted = days_before(utc_now().date(), days)
    with invocation.session() as session:
        report = session.import_history(wanted, databases)
    if as_json:
        print_json(
            {
                "first_day": wanted[0],
                "last_day": wanted[-1],
                "rows": report.rows,
                "duration_seconds": round(report.duration_seconds, 3),
                "outcomes": [_record(outcome) for outcome in report.outcomes],
            }
        )
    else:
        _print(report)
    if report.failed:
        ctx.exit(1)


def _record(outcome: HistoryOutcome) -> Record:
    return {
        "target": str(outcome.ref),
        "day": outcome.day,
        "status": outcome.status,
        "rows": outcome.rows,
        "message": outcome.message,
    }


def _print(report: HistoryReport) -> None:
    of_target: dict[str, list[HistoryOutcome]] = {}
    for outcome in report.outcomes:
        of_target.setdefault(str(outcome.ref), []).append(outcome)
    print_table(
        ("target", "days imported", "rows", "message"),
        [_row(target, outcomes) for target, outcomes in of_target.items()],
        empty="no targets: name your servers under `instances` in the settings",
    )
    print_line(f"{report.rows:,} interval rows in {report.duration_seconds:.1f} s, {len(report.failed)} failed")
    if report.rows:
        print_line("Learn from them now: dbplanmon baselines")


def _row(target: str, outcomes: Sequence[HistoryOutcome]) -> tuple[str | int, ...]:
    imported = sum(outcome.status is ImportStatus.IMPORTED for outcome in outcomes)
    words = [f"{o.day}: {o.message}" if o.day else o.message for o in outcomes if o.message]
    return target, imported, sum(outcome.rows for outcome in outcomes), " | ".join(dict.fromkeys(words))
