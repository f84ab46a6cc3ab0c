"""`dbplanmon baselines`: learn what is normal, now or for days gone by."""

from datetime import UTC, datetime, time, timedelta

import click

from dbplanmon_pipeline.cli.invocation import Invocation, as_of_option, json_option, pass_invocation, utc_now
from dbplanmon_pipeline.cli.output import print_json, print_table


@click.command()
@as_of_option
@click.option(
    "--days-back",
    type=click.IntRange(1, 90),
    metavar="N",
    help="Learn one version as of the end of each of the last N finished UTC days, oldest first.",
)
@json_option
@pass_invocation
def baselines(invocation: Invocation, as_of: datetime | None, days_back: int | None, as_json: bool) -> None:
    """Learn what is normal for every statement; older versions stay.

    A version made for the past lets `analyse --as-of` judge that time as it would have been judged then.
    """
    if as_of and days_back:
        raise click.UsageError("give --as-of or --days-back, not both")
    moments = ends_of_days(utc_now(), days_back) if days_back else [as_of or utc_now()]
    with invocation.session() as session:
        reports = [session.rebuild_baselines(moment) for moment in moments]
    if as_json:
        print_json({"versions": reports})
        return
    print_table(
        ("as of (UTC)", "statements", "frozen by incidents", "intervals read"),
        [(r.as_of, r.statements, r.frozen, r.intervals) for r in reports],
        empty="nothing learnt",
    )
    if not any(r.statements for r in reports):
        least = session.settings.baselines.min_intervals
        click.echo(f"nothing to learn from yet: a statement needs {least} intervals in which it ran")


def ends_of_days(now: datetime, days: int) -> list[datetime]:
    """Ends of the last finished UTC days, oldest first."""
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    return [midnight - timedelta(days=back) for back in reversed(range(days))]
