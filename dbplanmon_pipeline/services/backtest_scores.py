"""How good a back-test was, where somebody labelled what really happened."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.incidents.machine import Key
from dbplanmon_pipeline.core.known_events import KnownEvent
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.services.backtest import BacktestReport, Notification

GRACE = timedelta(hours=1)
"""An alert so long after the end of an event is still about it."""

WORTH_RATIO, WORTH_SECONDS, WORTH_INTERVALS = 1.5, 1.0, 3
"""Events worth a message: that much slower, at that cost per hour, in so many intervals."""

MATERIAL_SECONDS, MATERIAL_RATIO = 10.0, 2.0
SIZES = ((0.0, "below 1.5x"), (1.5, "1.5x to 2x"), (2.0, "2x to 5x"), (5.0, "5x to 20x"), (20.0, "from 20x"))
UNKNOWN_SIZE = "unknown"
UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class Found:
    """How many of some events were found, and how late.

    Attributes:
        events / found: numbers.
        recall: found of the events; None without any.
        delay_median / delay_p90: intervals between the first bad one and the alert, 0 where it came with it; None
            where nothing was found.
    """

    events: int
    found: int
    recall: float | None
    delay_median: float | None
    delay_p90: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """Alerts on statements against the labels; those on whole instances and databases in `instances`.

    Attributes:
        statements: that ran in more than one interval of the record.
        days: judged.
        hits / duplicates / neutral / false_alerts: alerts by what they were: the first on an event, further ones,
            neither right nor wrong, wrong.
        precision, recall, f1: of hits and events; None where there is nothing to divide by.
        false_per_1000_statements_and_day: false alerts.
        regressions: all events to be found that ran at all.
        worth: those worth a message (`WORTH_RATIO`, `WORTH_SECONDS`, `WORTH_INTERVALS`), with the precision and F1
            that leave out alerts on smaller ones.
        material / material_large: those from 10 s per hour on, and of these those of at least 2 times.
        by_size / by_kind: the same by magnitude and by the word of the label.
        false_by_kind: false alerts by the kind of the harmless event they fell into, `unlabelled` without any.
        instances: slow instances and databases; false_instances: alerts on instances or databases that were not.
    """

    statements: int
    days: float
    hits: int
    duplicates: int
    neutral: int
    false_alerts: int
    precision: float | None
    recall: float | None
    f1: float | None
    false_per_1000_statements_and_day: float | None
    regressions: Found
    worth: Found
    worth_precision: float | None
    worth_f1: float | None
    material: Found
    material_large: Found
    by_size: Mapping[str, Found]
    by_kind: Mapping[str, Found]
    false_by_kind: Mapping[str, int]
    instances: Found
    false_instances: int


class Activity:
    """A watcher that keeps what scores need of the rows: how many statements ran, and when the labelled ones did."""

    def __init__(self, events: Iterable[KnownEvent]) -> None:
        self._wanted = {event.key for event in events if event.scope is IncidentScope.QUERY}
        self._ends: dict[Key, list[Longs]] = {}
        self.statements = 0

    def see(self, frame: IntervalFrame, said: Sequence[Sequence[Notification]]) -> None:
        """See `Watcher.see`."""
        del said
        rows = frame.rows
        ran = rows["execution_count"].to_numpy(np.float64) > 0
        names = ("database_id", "query_hash", "interval_end_us")
        database, query, end = (rows[name].to_numpy(np.int64)[ran] for name in names)
        new_statement = _changes(database, query)
        statement = np.cumsum(new_statement) - 1
        intervals = np.bincount(statement[new_statement | _changes(end)])
        heads = np.flatnonzero(new_statement)
        self.statements += int(np.count_nonzero((intervals > 1) & (query[heads] != OTHER_STATEMENTS)))
        for head, until in zip(heads.tolist(), [*heads[1:].tolist(), len(query)], strict=True):
            ref, query_hash = frame.databases[int(database[head])], int(query[head])
            for key in ((ref.instance, ref.database, query_hash), (ref.instance, "", query_hash)):
                if key in self._wanted:
                    self._ends.setdefault(key, []).append(np.unique(end[head:until]))

    def ends(self, key: Key) -> Longs:
        """Ends of the intervals in which a labelled statement ran [epoch microseconds], rising."""
        found = self._ends.get(key)
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


@dataclass(slots=True)
class _Tally:
    """Alerts sorted by what they were; `first` holds the first hit of an event by its place."""

    first: dict[int, datetime] = field(default_factory=dict)
    duplicates: int = 0
    neutral: int = 0
    false: Counter[str] = field(default_factory=Counter)


def score(report: BacktestReport, events: Sequence[KnownEvent], activity: Activity, step: timedelta) -> Score:
    """Compare a report with what really happened.

    An alert is about the interval of length `step` that ended when it was raised. It hits an event if that interval
    began between the start of the event and an hour after its end. Events that began before the first moment judged
    are not counted, nor are those during which the statement did not run.

    Args:
        report: with at least one moment judged.
        events: what happened; everything else is taken for calm.
        activity: has seen the record.
        step: length of an interval.
    """
    assert report.first is not None
    assert report.last is not None
    queries = [event for event in events if event.scope is IncidentScope.QUERY]
    alerts = [one for one in report.notifications if one.raised_at - step >= report.first]
    tally = _tally([one for one in alerts if one.incident.scope is IncidentScope.QUERY], queries, step)
    judged = _Judged(report.first, activity, step)
    true = [
        place
        for place, event in enumerate(queries)
        if event.is_regression and event.start >= report.first and len(judged.bad_ends(event))
    ]
    ratings = _Ratings(queries, judged, tally)
    false = tally.false.total()
    days = (report.last - report.first) / timedelta(days=1)
    seen = activity.statements * days / 1000
    all_of_them = ratings.found(true)
    worth = ratings.found(ratings.worth(true, WORTH_RATIO))
    worth_hits = sum(place in tally.first for place in ratings.worth(true, 0.0))
    hits = len(tally.first)
    material = [place for place in true if queries[place].extra_seconds_per_hour >= MATERIAL_SECONDS]
    precision, worth_precision = _share(hits, hits + false), _share(worth_hits, worth_hits + false)
    instances, false_instances = _instances(alerts, events, (report.first, report.last), step)
    return Score(
        statements=activity.statements,
        days=days,
        hits=hits,
        duplicates=tally.duplicates,
        neutral=tally.neutral,
        false_alerts=false,
        precision=precision,
        recall=all_of_them.recall,
        f1=_f1(precision, all_of_them.recall),
        false_per_1000_statements_and_day=false / seen if seen else None,
        regressions=all_of_them,
        worth=worth,
        worth_precision=worth_precision,
        worth_f1=_f1(worth_precision, worth.recall),
        material=ratings.found(material),
        material_large=ratings.found([at for at in material if not queries[at].magnitude < MATERIAL_RATIO]),
        by_size=ratings.by(true, lambda event: _size(event.magnitude), [*(name for _, name in SIZES), UNKNOWN_SIZE]),
        by_kind=ratings.by(true, lambda event: event.kind, sorted({event.kind for event in queries})),
        false_by_kind=dict(sorted(tally.false.items())),
        instances=instances,
        false_instances=false_instances,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """When labelled statements ran."""

    first: datetime
    activity: Activity
    step: timedelta

    def bad_ends(self, event: KnownEvent) -> Longs:
        """Ends of the intervals with executions that began within an event."""
        ends = self.activity.ends(event.key)
        begins = ends - self.step // timedelta(microseconds=1)
        found: Longs = ends[(begins >= epoch_us(event.start)) & (begins < epoch_us(event.end))]
        return found


class _Ratings:
    """Events, which of them were found, and when."""

    def __init__(self, events: Sequence[KnownEvent], judged: _Judged, tally: _Tally) -> None:
        self._events, self._judged, self._first = events, judged, tally.first

    def found(self, places: Sequence[int]) -> Found:
        delays = [self._delay(place) for place in places if place in self._first]
        return _found(len(places), len(delays), delays)

    def worth(self, places: Sequence[int], ratio: float) -> list[int]:
        """Those worth a message; what nobody knows of an event is taken for enough."""
        return [
            place
            for place in places
            if not self._events[place].extra_seconds_per_hour < WORTH_SECONDS
            and not self._events[place].magnitude < ratio
            and len(self._judged.bad_ends(self._events[place])) >= WORTH_INTERVALS
        ]

    def by(self, places: Sequence[int], word: Callable[[KnownEvent], str], words: Sequence[str]) -> dict[str, Found]:
        """Found by a word of each event; words without events are left out."""
        chosen = {name: [place for place in places if word(self._events[place]) == name] for name in words}
        return {name: self.found(of_it) for name, of_it in chosen.items() if of_it}

    def _delay(self, place: int) -> float:
        begun = from_epoch_us(int(self._judged.bad_ends(self._events[place])[0]))
        return max(0.0, (self._first[place] - begun) / self._judged.step)


def _tally(alerts: Sequence[Notification], events: Sequence[KnownEvent], step: timedelta) -> _Tally:
    by_key: dict[Key, list[int]] = {}
    for place, event in enumerate(events):
        by_key.setdefault(event.key, []).append(place)
    tally = _Tally()
    for one in alerts:
        instance, _, query_hash = one.incident.key
        places = sorted([*by_key.get(one.incident.key, ()), *by_key.get((instance, "", query_hash), ())])
        at = [place for place in places if _covers(events[place], one.raised_at - step)]
        true = next((place for place in at if events[place].is_regression), None)
        if true is not None:
            tally.duplicates += true in tally.first
            tally.first.setdefault(true, one.raised_at)
        elif any(events[place].is_neutral for place in at):
            tally.neutral += 1
        else:
            tally.false[events[at[0]].kind if at else UNLABELLED] += 1
    return tally


def _covers(event: KnownEvent, moment: datetime) -> bool:
    return event.start <= moment < event.end + GRACE


def _holds(event: KnownEvent, incident: Incident) -> bool:
    """Whether one is about the other, or about a database of it."""
    databases = {event.database, incident.database} - {""}
    return event.instance == incident.instance and len(databases) <= 1


def _instances(
    alerts: Sequence[Notification], events: Sequence[KnownEvent], judged: tuple[datetime, datetime], step: timedelta
) -> tuple[Found, int]:
    """Slow instances and databases found, and alerts on those that were not slow."""
    slow = [event for event in events if event.scope is not IncidentScope.QUERY]
    false, hit = 0, dict[int, datetime]()
    for one in alerts:
        if one.incident.scope is IncidentScope.QUERY:
            continue
        at = [
            place
            for place, event in enumerate(slow)
            if _holds(event, one.incident) and _covers(event, one.raised_at - step)
        ]
        false += not at
        for place in at:
            hit.setdefault(place, one.raised_at)
    counted = [place for place, event in enumerate(slow) if judged[0] <= event.start < judged[1]]
    delays = [max(0.0, (hit[at] - slow[at].start - step) / step) for at in counted if at in hit]
    return _found(len(counted), len(delays), delays), false


def _found(events: int, found: int, delays: Sequence[float]) -> Found:
    median, p90 = (float(np.percentile(delays, share)) for share in (50, 90)) if delays else (None, None)
    return Found(events, found, _share(found, events), median, p90)


def _changes(*columns: Longs) -> NDArray[np.bool_]:
    changed = np.ones(len(columns[0]), np.bool_)
    changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed


def _size(magnitude: float) -> str:
    if math.isnan(magnitude):
        return UNKNOWN_SIZE
    # Sizes come from tables, where 5 times may be written as 4.9999.
    return [name for least, name in SIZES if magnitude * (1 + 1e-9) >= least][-1]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
