"""`dbplanmon backtest`: what the detector would have said over recorded intervals."""

import csv
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, read_moment
from dbplanmon_pipeline.cli.memory import keep_freed_memory
from dbplanmon_pipeline.cli.output import print_json

if TYPE_CHECKING:
    from dbplanmon_pipeline.composition.replaying import BacktestRequest
    from dbplanmon_pipeline.services.backtested import Backtested
    from dbplanmon_pipeline.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("metrics", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--store", "from_store", is_flag=True, help="Replay our own store and its archive instead of METRICS.")
@click.option("--alerts", "target", type=_NEW_FILE, help="CSV to write, one row per alert.")
@click.option("--html", "page", type=_NEW_FILE, help="Report with charts to write, one file.")
@click.option("--from", "since", metavar="ISO", callback=read_moment, help="Judge nothing before.")
@click.option("--to", "until", metavar="ISO", callback=read_moment, help="Judge nothing after.")
@click.option("--instance", metavar="NAME", help="Only this instance.")
@click.option("--database", metavar="NAME", help="Only databases of this name.")
@click.option(
    "--detector",
    type=click.Choice(("statistical", "threshold")),
    help="Instead of the one the settings name.",
)
@click.option("--against", type=_FILE, help="Other settings to replay over the same rows.")
@click.option("--labels", type=_FILE, help="What really happened, CSV or Parquet; see docs/backtest.md.")
@json_option
@pass_invocation
def backtest(
    invocation: Invocation,
    metrics: Path | None,
    from_store: bool,
    target: Path | None,
    page: Path | None,
    since: datetime | None,
    until: datetime | None,
    instance: str | None,
    database: str | None,
    detector: str | None,
    against: Path | None,
    labels: Path | None,
    as_json: bool,
) -> None:
    """Replay the detector over interval rows in METRICS, a Parquet file or a folder of them, or over --store."""
    from dbplanmon_pipeline.cli.backtest_words import facts, print_words  # noqa: PLC0415 - pandas and pyarrow: 1 s
    from dbplanmon_pipeline.composition.replaying import BacktestRequest, with_detector  # noqa: PLC0415
    from dbplanmon_pipeline.settings import load_settings  # noqa: PLC0415

    keep_freed_memory()
    if (metrics is None) is not from_store:
        raise click.UsageError("name METRICS, a Parquet file or a folder of them, or --store; one of the two")
    if since and until and since > until:
        raise click.UsageError("--from is later than --to")
    for file in (target, page):
        if file and not file.absolute().parent.is_dir():
            raise click.UsageError(f"{file.parent} is no folder; make it first")
    request = BacktestRequest(
        since=since,
        until=until,
        instance=instance,
        database=database,
        against=load_settings(against) if against else None,
        labels=labels,
        with_curves=page is not None,
    )
    found = _replay(invocation, with_detector(invocation.settings(), detector), metrics, request)
    if target:
        _write_alerts(target, found)
    if page:
        _write_page(page, found, str(metrics or "the store"), against)
    if as_json:
        print_json(facts(found, against))
    else:
        print_words(found, [file for file in (target, page) if file], against)


def _replay(
    invocation: Invocation, settings: "Settings", metrics: Path | None, request: "BacktestRequest"
) -> "Backtested":
    from dbplanmon_pipeline.composition.replaying import replay_recorded, replay_stored  # noqa: PLC0415 - see above

    if metrics is not None:
        return replay_recorded(settings, metrics, request)
    with invocation.session(upgrade=False) as session:
        return replay_stored(settings, session.store, request)


def _write_alerts(target: Path, found: "Backtested") -> None:
    from dbplanmon_pipeline.core.backtest_records import COLUMNS, alert_cells  # noqa: PLC0415 - see above

    try:
        with target.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows(alert_cells(one.raised_at, one.incident) for one in found.main.report.notifications)
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}") from error


def _write_page(target: Path, found: "Backtested", source: str, against: Path | None) -> None:
    from dbplanmon_pipeline.composition.backtest_page import write_backtest_page  # noqa: PLC0415 - see above

    write_backtest_page(target, found, source=source, against=str(against or ""))
