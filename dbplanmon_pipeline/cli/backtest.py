"""`dbplanmon backtest`: what the detector would have said over recorded intervals."""

import csv
from pathlib import Path

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_json, print_line
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import moment_words
from dbplanmon_pipeline.services.backtest import BacktestReport, Notification

COLUMNS = (
    "raised_at",
    "scope",
    "instance",
    "database",
    "query_hash",
    "plan_hash",
    "previous_plan_hash",
    "label",
    "severity",
    "metric",
    "effect_ratio",
    "extra_seconds_per_hour",
)


@click.command()
@click.argument("metrics", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--alerts", "target", required=True, type=click.Path(dir_okay=False, path_type=Path), help="CSV to write."
)
@click.option(
    "--detector",
    type=click.Choice(("statistical", "threshold")),
    help="Instead of the one the settings name.",
)
@json_option
@pass_invocation
def backtest(invocation: Invocation, metrics: Path, target: Path, detector: str | None, as_json: bool) -> None:
    """Replay the detector over interval rows in METRICS, a Parquet file or a folder of them."""
    from dbplanmon_pipeline.composition.replaying import replay_recorded  # noqa: PLC0415 - pandas and pyarrow: 1 s

    report = replay_recorded(invocation.settings(), metrics, detector)
    _write(target, report)
    if as_json:
        print_json(
            {
                "intervals": report.intervals,
                "first": report.first,
                "last": report.last,
                "ticks": report.ticks,
                "alerts": len(report.notifications),
            }
        )
    elif report.first is None or report.last is None:
        print_line(f"{report.intervals:,} intervals are too few: as many days as a baseline learns from come first")
    else:
        print_line(
            f"{report.intervals:,} intervals, judged from {moment_words(report.first)} to {moment_words(report.last)}: "
            f"{len(report.notifications):,} alerts in {target}"
        )


def _write(target: Path, report: BacktestReport) -> None:
    try:
        with target.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows(_row(one) for one in report.notifications)
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}") from error


def _row(notification: Notification) -> tuple[object, ...]:
    incident = notification.incident
    return (
        notification.raised_at.isoformat(),
        incident.scope.value,
        incident.instance,
        incident.database,
        hash_text(incident.query_hash) if incident.query_hash else "",
        hash_text(incident.plan_hash) if incident.plan_hash else "",
        hash_text(incident.previous_plan_hash) if incident.previous_plan_hash else "",
        incident.label.value,
        incident.severity.value,
        incident.metric,
        f"{incident.effect_ratio:.4g}",
        f"{incident.extra_seconds_per_hour:.4g}",
    )
