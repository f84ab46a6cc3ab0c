"""`backtest_report`: what the detector would have said of the recorded past; launched by hand, on no schedule."""

from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from dbplanmon_pipeline.composition.backtest_page import write_backtest_page
from dbplanmon_pipeline.composition.replaying import BacktestRequest, replay_stored
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.records import place
from dbplanmon_pipeline.defs.config import read_moment
from dbplanmon_pipeline.defs.naming import BACKTEST, AssetJob, Names
from dbplanmon_pipeline.defs.tables import short_table
from dbplanmon_pipeline.errors import SettingsError, StoreError
from dbplanmon_pipeline.services.backtest import Notification
from dbplanmon_pipeline.services.backtest_scores import Score
from dbplanmon_pipeline.services.backtested import Backtested
from dbplanmon_pipeline.settings import load_settings

FOLDER = "backtests"
KEPT = 20
"""Pages in the state folder; older ones go."""


class BacktestConfig(dg.Config):
    """Which part of the past to replay, and by what."""

    since: str = Field(
        default="", description="Judge nothing before this ISO time with zone; empty: as early as can be."
    )
    until: str = Field(default="", description="Judge nothing after this ISO time with zone; empty: to the end.")
    instance: str = Field(default="", description="Only this instance; empty: all.")
    database: str = Field(default="", description="Only databases of this name; empty: all.")
    settings: str = Field(
        default="", description="Settings file to try on the same rows, beside the settings in force; empty: none."
    )
    labels: str = Field(default="", description="CSV or Parquet file with what really happened; empty: none.")

    def request(self) -> BacktestRequest:
        """The same for the replay.

        Raises:
            SettingsError: a moment or the settings file is wrong.
        """
        since, until = read_moment("since", self.since), read_moment("until", self.until)
        if since and until and since > until:
            raise SettingsError("since is later than until")
        return BacktestRequest(
            since=since,
            until=until,
            instance=self.instance or None,
            database=self.database or None,
            against=load_settings(Path(self.settings)) if self.settings else None,
            labels=Path(self.labels).expanduser() if self.labels else None,
            with_curves=True,
        )


def backtest_asset(names: Names) -> dg.AssetsDefinition:
    """The asset; reads the store and writes one page."""

    @dg.asset(
        key=names.key("backtest_report"),
        required_resource_keys={names.resource},
        description="What the detector would have said of the recorded past, by these settings and by others.",
        group_name="on_demand",
    )
    def backtest_report(context: dg.AssetExecutionContext, config: BacktestConfig) -> dg.MaterializeResult[None]:
        monitor = names.monitor(context)
        request = config.request()
        with monitor.session() as session:
            found = replay_stored(monitor.settings, session.store, request)
        page = monitor.settings.state_dir / FOLDER / f"backtest-{monitor.clock():%Y-%m-%dT%H%M%S}.html"
        _make_room(page.parent)
        write_backtest_page(page, found, source="the store", against=config.settings)
        return dg.MaterializeResult(
            metadata={
                **_figures(found),
                "report": dg.MetadataValue.path(page.absolute()),
                "alerts_told": _alerts(found),
            }
        )

    return backtest_report


def _make_room(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("backtest-*.html"))[: -(KEPT - 1)]:
            old.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StoreError(f"{folder.absolute()} cannot be written: {why}; check the state folder") from error


def _figures(found: Backtested) -> dict[str, Any]:
    report = found.main.report
    severities = Counter(one.incident.severity.value for one in report.notifications)
    figures: dict[str, Any] = {
        "dagster/row_count": report.intervals,
        "first": report.first.isoformat() if report.first else "the record is too short",
        "last": report.last.isoformat() if report.last else "the record is too short",
        "moments": report.ticks,
        "held_back_since_restart": report.held_back,
        "alerts": len(report.notifications),
        "severities": ", ".join(f"{number} {name}" for name, number in severities.most_common()) or "none",
    }
    if found.main.score:
        figures |= _score(found.main.score, "")
    if found.against and found.comparison:
        figures |= {
            "alerts_tried": len(found.against.report.notifications),
            "alerts_only_in_force": len(found.comparison.only_first),
            "alerts_only_tried": len(found.comparison.only_second),
        }
        if found.against.score:
            figures |= _score(found.against.score, "_tried")
    return figures


def _score(score: Score, suffix: str) -> dict[str, Any]:
    values = {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "false_per_1000_statements_and_day": score.false_per_1000_statements_and_day,
        "delay_median_intervals": score.regressions.delay_median,
        "instance_recall": score.instances.recall,
    }
    return {f"{name}{suffix}": value for name, value in values.items() if value is not None}


def _alerts(found: Backtested) -> dg.MarkdownMetadataValue:
    dearest = sorted(found.main.report.notifications, key=lambda one: -one.incident.extra_seconds_per_hour)
    return short_table([_row(one) for one in dearest], empty="nothing would have been said")


def _row(one: Notification) -> dict[str, str | float]:
    incident = one.incident
    return {
        "told at": f"{one.raised_at:%Y-%m-%d %H:%M}",
        "where": place(incident),
        "statement": hash_text(incident.query_hash),
        "what": incident.label.value,
        "severity": incident.severity.value,
        "ratio": incident.effect_ratio,
        "extra s/h": incident.extra_seconds_per_hour,
    }


def backtest_job(names: Names) -> AssetJob:
    """The same as a job, for the launchpad; one at a time, as it may take minutes and much memory."""
    return dg.define_asset_job(
        names.name(BACKTEST),
        selection=dg.AssetSelection.assets(names.key("backtest_report")),
        description="Replay the recorded past.",
        tags=names.job_tags(BACKTEST),
        executor_def=dg.in_process_executor,
    )
