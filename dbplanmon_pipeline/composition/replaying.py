"""A back-test with the detector, the cadence and the thresholds that the settings name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dbplanmon_pipeline.composition.detectors import build_detector
from dbplanmon_pipeline.composition.incidents import incident_policy
from dbplanmon_pipeline.core.known_events import KnownEvent
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.restarts import RESTART_FACTS, Restarts
from dbplanmon_pipeline.services.backtest import (
    NO_RESTARTS,
    BacktestPolicy,
    BacktestReport,
    IntervalSource,
    Rule,
    Watcher,
    replay,
)
from dbplanmon_pipeline.services.backtest_comparison import compare
from dbplanmon_pipeline.services.backtest_curves import Curves
from dbplanmon_pipeline.services.backtest_scores import Activity, Score, score
from dbplanmon_pipeline.services.backtested import Backtested, Side
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.sections import DetectorName
from dbplanmon_pipeline.store.recorded.files import RecordedIntervals, Wanted
from dbplanmon_pipeline.store.recorded.labels import read_labels
from dbplanmon_pipeline.store.recorded.stored import StoredIntervals

if TYPE_CHECKING:
    from dbplanmon_pipeline.store import SqlStore

MOST_CURVES = 40
_DAY = timedelta(days=1)
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What to replay, and by what.

    Attributes:
        since / until: judge only moments between them, aware UTC, both included; None: as far as the record goes.
        instance / database: only those of this name.
        against: other settings, replayed over the same rows.
        labels: file with what really happened.
        with_curves: keep the figures around the dearest notifications, for charts.
    """

    since: datetime | None = None
    until: datetime | None = None
    instance: str | None = None
    database: str | None = None
    against: Settings | None = None
    labels: Path | None = None
    with_curves: bool = False


def with_detector(settings: Settings, detector: str | None) -> Settings:
    """The settings with a detector of another name, where one is given."""
    if detector is None:
        return settings
    analysis = settings.analysis.model_copy(update={"detector": DetectorName(detector)})
    return settings.model_copy(update={"analysis": analysis})


def replay_recorded(settings: Settings, path: Path, request: BacktestRequest) -> Backtested:
    """Replay the interval rows in a Parquet file or a folder of them.

    Raises:
        StoreError: rows or labels cannot be read.
    """
    wanted = _wanted(settings, request)
    source = RecordedIntervals(path, wanted)
    whole = replace(wanted, since=None)
    return _replayed(settings, request, source, lambda: RecordedIntervals(path, whole), source.restarts())


def replay_stored(settings: Settings, store: "SqlStore", request: BacktestRequest) -> Backtested:
    """Replay the interval rows of a store, hot and sealed days alike; nothing in it changes.

    Raises:
        StoreError: rows or labels cannot be read.
    """
    wanted = _wanted(settings, request)
    source = StoredIntervals(store, wanted)
    until = wanted.until or store.latest_interval_end() or _ALWAYS
    restarts = Restarts.of(
        store.changes_of_facts(RESTART_FACTS, wanted.since or _ALWAYS, until + settings.collection.interval)
    )
    return _replayed(settings, request, source, lambda: StoredIntervals(store, replace(wanted, since=None)), restarts)


def _wanted(settings: Settings, request: BacktestRequest) -> Wanted:
    """Rows to judge, and before them those to learn from."""
    if request.since is None:
        return Wanted(None, request.until, request.instance, request.database)
    both = [settings] if request.against is None else [settings, request.against]
    past = max(max((one.baselines.days + 1) * _DAY, one.analysis.lookback + _DAY) for one in both)
    midnight = request.since.replace(hour=0, minute=0, second=0, microsecond=0)
    return Wanted(midnight - past, request.until, request.instance, request.database)


def _replayed(
    settings: Settings,
    request: BacktestRequest,
    source: IntervalSource,
    whole: Callable[[], IntervalSource],
    restarts: Restarts = NO_RESTARTS,
) -> Backtested:
    both = [settings] if request.against is None else [settings, request.against]
    events = _events(request, whole() if request.labels and request.since else source)
    activity, curves = Activity(events), Curves(len(both), MOST_CURVES)
    watchers: list[Watcher] = [*([activity] if request.labels else []), *([curves] if request.with_curves else [])]
    reports = replay(source, [_rule(one) for one in both], request.since, watchers, restarts)
    sides = [
        Side(
            _shown(one),
            report,
            _scored(report, events, activity, one) if request.labels else None,
            tuple(curves.of(number)),
        )
        for number, (one, report) in enumerate(zip(both, reports, strict=True))
    ]
    if len(sides) == 1:
        return Backtested(sides[0])
    return Backtested(sides[0], sides[1], compare(reports[0], reports[1]))


def _rule(settings: Settings) -> Rule:
    at = settings.baselines.time
    return Rule(
        build_detector(settings),
        BacktestPolicy(
            incidents=incident_policy(settings.collection.interval),
            lookback=settings.analysis.lookback,
            days=settings.baselines.days,
            rebuild_at=timedelta(hours=at.hour, minutes=at.minute),
        ),
    )


def _events(request: BacktestRequest, whole: IntervalSource) -> list[KnownEvent]:
    """Labels by number count from the midnight before the first interval of the whole record."""
    if request.labels is None:
        return []
    ends = whole.ends()
    first = from_epoch_us(int(ends[0]) - 1 if len(ends) else 0)
    events = read_labels(request.labels, first.replace(hour=0, minute=0, second=0, microsecond=0))
    return [event for event in events if _is_replayed(event, request)]


def _is_replayed(event: KnownEvent, request: BacktestRequest) -> bool:
    """False for what happened where nothing is replayed; a label of no database means any."""
    same_database = not event.database or request.database in (None, event.database)
    return request.instance in (None, event.instance) and same_database


def _scored(
    report: BacktestReport, events: Sequence[KnownEvent], activity: Activity, settings: Settings
) -> Score | None:
    return None if report.first is None else score(report, events, activity, settings.collection.interval)


def _shown(settings: Settings) -> dict[str, str]:
    """What a verdict depends on."""
    sections = {
        "analysis": ("detector", "lookback", "window", "common_mode_ratio", "min_extra_seconds_per_hour"),
        "baselines": ("time", "days", "min_intervals"),
        "collection": ("interval",),
    }
    values = settings.model_dump(mode="json", include={name: set(keys) for name, keys in sections.items()})
    found = {f"{name}.{key}": str(values[name][key]) for name, keys in sections.items() for key in keys}
    limits = settings.defaults.regression.model_dump(mode="json")
    return found | {f"defaults.regression.{key}": str(value) for key, value in limits.items()}
