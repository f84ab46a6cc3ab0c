"""Replay the detector over recorded intervals, by the rule, the learning and the incidents that run in production."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.incident_machine import IncidentPolicy, advance
from dbplanmon_pipeline.core.incidents import Incident, IncidentEvent, IncidentScope
from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.model import DatabaseRef, Severity
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Detector
from dbplanmon_pipeline.core.verdict.series import prepared
from dbplanmon_pipeline.services.rebuild_baselines import excluded_spans, without_statements

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BacktestPolicy:
    """How recorded time is gone through.

    Attributes:
        incidents: when incidents end and come back; its step is the cadence of the analysis.
        lookback: how far back a verdict looks.
        days: how many days a baseline learns from, and how many pass before the first judgement.
        rebuild_at: time of day (UTC) of the daily rebuild of the baselines, since midnight.
    """

    incidents: IncidentPolicy = field(default_factory=IncidentPolicy)
    lookback: timedelta = timedelta(hours=12)
    days: int = 7
    rebuild_at: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Notification:
    """An incident that was opened or came back, as it stood when people would have been told."""

    raised_at: datetime
    incident: Incident


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """What the detector would have said.

    Attributes:
        notifications: in order of time.
        intervals: rows replayed.
        first / last: the moments judged, aware UTC; None where the record is too short.
        ticks: how many moments were judged.
    """

    notifications: tuple[Notification, ...]
    intervals: int
    first: datetime | None
    last: datetime | None
    ticks: int


def backtest(record: IntervalFrame, detector: Detector, policy: BacktestPolicy) -> BacktestReport:
    """Learn every day and judge every step of a record; the first `policy.days` are only learnt from."""
    if record.rows.empty:
        return BacktestReport((), 0, None, None, 0)
    replay = _Replay(record, detector, policy)
    moments = 0
    for ticks in replay.stretches():
        replay.judge(ticks)
        moments += len(ticks)
    found = tuple(replay.notifications)
    return BacktestReport(
        found, len(record.rows), replay.first if moments else None, replay.last if moments else None, moments
    )


class _Replay:
    """A record and what is known of it so far."""

    def __init__(self, record: IntervalFrame, detector: Detector, policy: BacktestPolicy) -> None:
        self._record, self._detector, self._policy = prepared(record), detector, policy
        self._ends = record.rows["interval_end_us"].to_numpy()
        self._open: dict[tuple[str, str, int], Incident] = {}
        self._closed: dict[str, Incident] = {}
        self._baselines: BaselineSet | None = None
        self.notifications: list[Notification] = []
        self.first = (
            from_epoch_us(int(self._ends.min()) - 1).replace(hour=0, minute=0, second=0, microsecond=0)
            + policy.days * _DAY
        )
        self.last = from_epoch_us(int(self._ends.max()))

    def stretches(self) -> Iterator[Sequence[datetime]]:
        """Moments between two rebuilds of the baselines, which are made on the way."""
        at, step = self.first, self._policy.incidents.step
        rebuild = at - _DAY + self._policy.rebuild_at
        while at <= self.last:
            self._learn(rebuild)
            rebuild += _DAY
            until = min(rebuild, self.last)
            ticks = [at + step * number for number in range((until - at) // step + 1)]
            yield ticks
            at = ticks[-1] + step

    def judge(self, ticks: Sequence[datetime]) -> None:
        """Go through moments that share their baselines."""
        assert self._baselines is not None
        recent = self._between(ticks[0] - self._policy.lookback, ticks[-1])
        for evaluation in self._detector.evaluate_span(recent, self._baselines, ticks, self._is_known):
            since = evaluation.as_of - self._policy.incidents.memory
            closed = [one for one in self._closed.values() if one.updated_at >= since]
            for change in advance(list(self._open.values()), closed, evaluation, self._policy.incidents):
                self._keep(change.incident)
                if change.event in (IncidentEvent.OPENED, IncidentEvent.REOPENED):
                    self.notifications.append(Notification(evaluation.as_of, change.incident))

    def _keep(self, incident: Incident) -> None:
        self._closed.pop(incident.incident_id, None)
        self._open.pop(incident.key, None)
        if incident.state.is_open:
            self._open[incident.key] = incident
        else:
            self._closed[incident.incident_id] = incident

    def _is_known(self, ref: DatabaseRef, query_hash: int, severity: Severity) -> bool:
        incident = self._open.get((ref.instance, ref.database, query_hash))
        return incident is not None and incident.severity.rank >= severity.rank

    def _learn(self, as_of: datetime) -> None:
        since = as_of - timedelta(days=self._policy.days)
        history = self._between(since, as_of)
        past = [one for one in self._closed.values() if one.closed_at and one.closed_at >= since]
        incidents = [*past, *self._open.values()]
        learnt = self._detector.learn(history, as_of, excluded_spans(incidents, history, as_of))
        frozen = {key for key, one in self._open.items() if one.scope is IncidentScope.QUERY}
        kept = without_statements(learnt, self._record.databases, frozen)
        self._baselines = kept if self._baselines is None else _newest_of_each(self._baselines, kept)

    def _between(self, after: datetime, until: datetime) -> IntervalFrame:
        return self._record.within(epoch_us(after), epoch_us(until))


def _newest_of_each(before: BaselineSet, now: BaselineSet) -> BaselineSet:
    """The new version, and of statements that have none the one before."""
    keys = [pd.MultiIndex.from_frame(one.table[["database_id", "query_hash"]]) for one in (before, now)]
    older = ~keys[0].isin(keys[1])
    return replace(
        now,
        table=pd.concat([now.table, before.table[older]], ignore_index=True),
        parameters=np.concatenate([now.parameters, before.parameters[older]]),
    )
