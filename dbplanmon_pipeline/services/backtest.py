"""Replay the detector over recorded intervals, by the rule, the learning and the incidents that run in production."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.grouping import Group, parts_of_instances
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent, IncidentScope
from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy, Key, advance, stayed_bad
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.restarts import Restart, Restarts
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Detector, Evaluation, Verdict
from dbplanmon_pipeline.core.verdict.rows.frames import SeriesFrame
from dbplanmon_pipeline.core.verdict.warm_up import WarmUp
from dbplanmon_pipeline.services.rebuild_baselines import GROUP, excluded_spans, without_statements

_DAY = timedelta(days=1)
NO_RESTARTS = Restarts()
_TOLD = (IncidentEvent.OPENED, IncidentEvent.REOPENED)


@dataclass(frozen=True, slots=True)
class BacktestPolicy:
    """How recorded time is gone through.

    Attributes:
        incidents: when incidents end and come back; its step is the cadence of the collection.
        lookback: how far back a verdict looks.
        days: how many days a baseline learns from, and how many pass before the first judgement.
        rebuild_at: time of day (UTC), since midnight, of the daily rebuild of the baselines, which learn from what
            ended before that midnight.
    """

    incidents: IncidentPolicy = field(default_factory=IncidentPolicy)
    lookback: timedelta = timedelta(days=1)
    days: int = 7
    rebuild_at: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Rule:
    """A detector with its policy: what one settings file asks for."""

    detector: Detector
    policy: BacktestPolicy


@dataclass(frozen=True, slots=True)
class Notification:
    """An incident that was opened or came back, as it stood when people would have been told.

    Attributes:
        raised_at: end of the interval that was judged, aware UTC.
        incident: as it stood then.
        ended_at: when it ended by itself; None where the record ends before.
    """

    raised_at: datetime
    incident: Incident
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """What the detector would have said.

    Attributes:
        notifications: in order of time.
        intervals: rows replayed.
        first / last: from when to when was judged, aware UTC, both included; None where the record is too short.
        ticks: how many moments were judged: the ends of recorded intervals.
        held_back: statements that waited after a restart, once for each; those that stood longer are among the
            notifications.
    """

    notifications: tuple[Notification, ...]
    intervals: int
    first: datetime | None
    last: datetime | None
    ticks: int
    held_back: int = 0


class IntervalSource(Protocol):
    """Recorded interval rows, given out in parts so that a large record needs no memory for the whole of it."""

    def databases(self) -> list[DatabaseRef]:
        """Every database of the record."""
        ...

    def ends(self) -> Longs:
        """Every end of an interval [epoch microseconds], rising, each once."""
        ...

    def frames(self, groups: Sequence[Group]) -> Iterator[IntervalFrame]:
        """The rows of each group of databases, in this order; columns of `DETECTOR_COLUMNS`."""
        ...


class Watcher(Protocol):
    """Takes what it needs from rows that are about to be let go of."""

    def see(self, frame: IntervalFrame, said: Sequence[Sequence[Notification]]) -> None:
        """Some instances, and what each rule said of them."""
        ...


def backtest(
    record: IntervalFrame, detector: Detector, policy: BacktestPolicy, restarts: Restarts = NO_RESTARTS
) -> BacktestReport:
    """Learn every day and judge the end of every interval; the first `policy.days` are only learnt from."""
    return replay(_Whole(record), [Rule(detector, policy)], restarts=restarts)[0]


def replay(
    source: IntervalSource,
    rules: Sequence[Rule],
    start: datetime | None = None,
    watchers: Sequence[Watcher] = (),
    restarts: Restarts = NO_RESTARTS,
) -> list[BacktestReport]:
    """Go through a record by one or several rules.

    Args:
        source: the record.
        rules: each sees the same rows and judges the same moments.
        start: judge nothing before; never earlier than so many days into the record as a baseline learns from.
        watchers: see each part of the record once it was replayed.
        restarts: that happened in the time of the record.

    Returns:
        A report for each rule.
    """
    ends = source.ends()
    if not len(ends):
        return [BacktestReport((), 0, None, None, 0) for _ in rules]
    first = _midnight(from_epoch_us(int(ends[0]) - 1)) + max(rule.policy.days for rule in rules) * _DAY
    first = max(first, start) if start else first
    ends = ends[ends >= epoch_us(first)]
    said: list[list[Notification]] = [[] for _ in rules]
    held_back = [0] * len(rules)
    rows = 0
    groups = learnt_together(source.databases())
    frames = source.frames([tuple(ref for part in parts for ref in part) for parts in groups])
    for parts, frame in zip(groups, frames, strict=True):
        rows += len(frame.rows)
        can_judge = len(ends) > 0 and not frame.rows.empty
        played = [_Replay(frame, parts, rule, restarts) for rule in rules]
        found = [one.run(ends) if can_judge else [] for one in played]
        held_back = [before + one.held_back for before, one in zip(held_back, played, strict=True)]
        for watcher in watchers:
            watcher.see(frame, found)
        for notifications, part in zip(said, found, strict=True):
            notifications.extend(part)
        # Else it would still be there while the next one is read.
        del frame, played
    judged = (first, from_epoch_us(int(ends[-1]))) if len(ends) else (None, None)
    return [
        BacktestReport(tuple(sorted(one, key=_order)), rows, judged[0], judged[1], len(ends), held)
        for one, held in zip(said, held_back, strict=True)
    ]


def learnt_together(refs: Sequence[DatabaseRef]) -> list[list[Group]]:
    """Whole instances, each list as small as may be, in the groups of databases a baseline is learnt from at once."""
    found: list[list[Group]] = []
    for part in parts_of_instances(refs, GROUP):
        if found and found[-1][-1][-1].instance == part[0].instance:
            found[-1].append(part)
        else:
            found.append([part])
    return found


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _key(verdict: Verdict) -> Key:
    return (verdict.ref.instance, verdict.ref.database, verdict.query_hash)


def _order(one: Notification) -> tuple[datetime, Key]:
    return (one.raised_at, one.incident.key)


class _Whole:
    """A record that is in memory."""

    def __init__(self, record: IntervalFrame) -> None:
        self._record = record

    def databases(self) -> list[DatabaseRef]:
        return sorted(self._record.databases.values())

    def ends(self) -> Longs:
        return np.unique(self._record.rows["interval_end_us"].to_numpy(np.int64))

    def frames(self, groups: Sequence[Group]) -> Iterator[IntervalFrame]:
        for group in groups:
            chosen = {number: ref for number, ref in self._record.databases.items() if ref in group}
            rows = self._record.rows
            own = rows if len(chosen) == len(self._record.databases) else rows[rows["database_id"].isin(chosen)]
            yield IntervalFrame(own, chosen)


class _Replay:
    """Some instances, and what is known of them so far."""

    def __init__(self, record: IntervalFrame, parts: Sequence[Group], rule: Rule, restarts: Restarts) -> None:
        self._record = SeriesFrame.of(record)
        self._parts = [self._record.only(frozenset(part)) for part in parts]
        self._detector, self._policy = rule.detector, rule.policy
        self._warm_up = WarmUp(restarts, rule.policy.incidents.step, rule.policy.incidents.warm_up)
        self._held: set[tuple[Key, Restart]] = set()
        self._open: dict[Key, Incident] = {}
        self._closed: dict[str, Incident] = {}
        self._baselines: BaselineSet | None = None
        self._said: list[Notification] = []
        self._last_told: dict[str, int] = {}
        self._stayed: dict[Key, tuple[datetime, datetime]] = {}

    def run(self, ends: Longs) -> list[Notification]:
        """Judge at the ends of all recorded intervals [epoch microseconds]."""
        step_us = self._policy.incidents.step // timedelta(microseconds=1)
        ticks = [
            from_epoch_us(end)
            for end in _own_moments(
                ends, np.unique(self._record.rows["interval_end_us"].to_numpy(np.int64)), step_us
            ).tolist()
        ]
        for as_of, stretch in _stretches(ticks, self._policy.rebuild_at):
            self._learn(as_of)
            if stretch:
                self._judge(stretch)
        return self._said

    @property
    def held_back(self) -> int:
        """See `BacktestReport`."""
        return len(self._held)

    def _judge(self, ticks: Sequence[datetime]) -> None:
        """Go through moments that share their baselines."""
        assert self._baselines is not None
        step = self._policy.incidents.step
        chains = _chains(ticks, step)
        judged = [
            self._detector.evaluate_span(self._record, self._baselines, chain, self._is_known) for chain in chains
        ]
        # Each chain is asked only when its moment comes: what it says depends on what was known by then.
        for _, number in sorted((tick, number) for number, chain in enumerate(chains) for tick in chain):
            self._take(next(judged[number]))

    def _take(self, evaluation: Evaluation) -> None:
        evaluation, held = self._warm_up.sift(evaluation, self._open)
        self._held |= {(_key(one.verdict), one.restart) for one in held}
        since = evaluation.as_of - self._policy.incidents.memory
        closed = [one for one in self._closed.values() if one.closed_at and one.closed_at >= since]
        keys = {(ref.instance, ref.database, query): began for (ref, query), began in evaluation.unchanged.items()}
        # Whether one that failed as well still does is asked as in production.
        staying = {key: began for key, began in keys.items() if self._open[key].failures is None}
        others = [self._brought_up(key) for key in list(self._open) if key not in staying]
        for change in advance(others, closed, evaluation, self._policy.incidents):
            self._keep(change)
        for key, began in staying.items():
            self._stayed[key] = (min(began, self._stayed.get(key, (began,))[0]), evaluation.as_of)

    def _brought_up(self, key: Key) -> Incident:
        """An open incident as it stands; those that merely go on are not written anew at every moment."""
        stayed = self._stayed.pop(key, None)
        if stayed:
            self._open[key] = stayed_bad(self._open[key], *stayed)
        return self._open[key]

    def _keep(self, change: IncidentChange) -> None:
        incident = change.incident
        self._closed.pop(incident.incident_id, None)
        self._open.pop(incident.key, None)
        if change.event in _TOLD:
            self._last_told[incident.incident_id] = len(self._said)
            self._said.append(Notification(change.at, incident))
        if incident.state.is_open:
            self._open[incident.key] = incident
        else:
            self._closed[incident.incident_id] = incident
            told = self._last_told[incident.incident_id]
            self._said[told] = replace(self._said[told], ended_at=incident.closed_at)

    def _is_known(self, ref: DatabaseRef, query_hash: int) -> bool:
        """True for an open incident: only its beginning and its end matter, as all else was told when it opened."""
        return (ref.instance, ref.database, query_hash) in self._open

    def _learn(self, as_of: datetime) -> None:
        for key in list(self._stayed):
            self._brought_up(key)
        since = as_of - timedelta(days=self._policy.days)
        past = [one for one in self._closed.values() if one.closed_at and one.closed_at >= since]
        incidents = [one for one in (*past, *self._open.values()) if one.began_at < as_of]
        frozen = {one.key for one in incidents if one.state.is_open and one.scope is IncidentScope.QUERY}
        versions = [] if self._baselines is None else [self._baselines]
        for part in self._parts:
            learnt = self._detector.learn(part, as_of, excluded_spans(incidents, part, as_of))
            versions.append(without_statements(learnt, self._record.databases, frozen))
        self._baselines = _newest_of_each(versions)


def _own_moments(ends: Longs, own: Longs, step_us: int) -> Longs:
    """Ends of their own intervals, and of others where nothing of their own ended within the step before.

    Shards of a collection end at moments of their own; each instance is judged at its own, and once where it was not
    read at all.
    """
    before = np.searchsorted(own, ends, side="right") - 1
    since = np.where(before >= 0, ends - own[np.maximum(before, 0)], step_us)
    chosen: Longs = ends[(since == 0) | (since >= step_us)]
    return chosen


def _stretches(ticks: Sequence[datetime], rebuild_at: timedelta) -> Iterator[tuple[datetime, list[datetime]]]:
    """Each rebuild from the last one before the first moment on: what it learns until, and the moments it serves."""
    midnight = _midnight(ticks[0] - rebuild_at)
    at = 0
    while at < len(ticks):
        until = midnight + _DAY + rebuild_at
        end = at
        while end < len(ticks) and ticks[end] < until:
            end += 1
        yield midnight, list(ticks[at:end])
        at, midnight = end, midnight + _DAY


def _chains(ticks: Sequence[datetime], step: timedelta) -> list[list[datetime]]:
    """Moments in as few lists as may be in which all are at least a step apart: those can be judged in one go.

    Collections begin a second earlier or later than a whole step after the last one.
    """
    chains: list[list[datetime]] = []
    for tick in ticks:
        free = next((chain for chain in chains if tick - chain[-1] >= step), None)
        if free is None:
            chains.append([tick])
        else:
            free.append(tick)
    return chains


def _newest_of_each(versions: Sequence[BaselineSet]) -> BaselineSet:
    """Of each statement what was learnt last."""
    table = pd.concat([one.table for one in versions], ignore_index=True)
    newest = ~table.duplicated(["database_id", "query_hash"], keep="last").to_numpy()
    parameters = np.concatenate([one.parameters for one in versions])
    return replace(versions[-1], table=table[newest].reset_index(drop=True), parameters=parameters[newest])
