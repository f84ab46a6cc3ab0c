"""One moment after the other: what is said of a new tick, from the new rows and what is kept of the rows before them.

Says exactly what `StatisticalDetector` would say of the whole lookback. Where it cannot be sure of that it says
nothing, and the lookback has to be judged whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.common.past_modes import HeardScopes, KnownScopes, PastModes, nothing_common
from dbplanmon_pipeline.core.verdict.comparison import baseline_rows, compare, learnt_scopes
from dbplanmon_pipeline.core.verdict.failing.attempts import FailureCells, attempts_of, cells_of
from dbplanmon_pipeline.core.verdict.failing.step import FailingStep
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Evaluation, nothing_known
from dbplanmon_pipeline.core.verdict.moment import JudgedMoments
from dbplanmon_pipeline.core.verdict.normal.baseline import unpack
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows, series_rows
from dbplanmon_pipeline.core.verdict.rows.ticks import Active, points_of, tick_numbers
from dbplanmon_pipeline.core.verdict.rules.plan_path import plan_changes_at
from dbplanmon_pipeline.core.verdict.running.screen import Screen
from dbplanmon_pipeline.core.verdict.running.sums import (
    RunningSums,
    bounds_of_windows,
    dear_flags,
    interval_figures,
    sums_of,
)

_MOST = 4_000
"""Where so many statements may fire or got new plans at once, the rows of all are read faster."""

Statement = tuple[int, int]
"""Database id and query hash."""


class RecentRows(Protocol):
    """Reads rows once more, where the new ones are not enough."""

    def of_databases(self, database_ids: Sequence[int]) -> IntervalFrame:
        """Those that ended within one step before the moment that is judged."""
        ...

    def of_statements(self, statements: Sequence[Statement]) -> IntervalFrame:
        """Those of the whole lookback, or further back."""
        ...


@dataclass
class RunningState:
    """What is kept of the databases of one analysis; the statements with a baseline are its rows, in its order.

    Attributes:
        as_of_us: the moment judged last [epoch microseconds].
        past: common modes of the ticks of the lookback.
        ran_us / judged_us: int64 [databases], newest end of any statement, and of one with a baseline; 0 for none.
        several: whether statements with a baseline ran in several databases of an instance within the lookback.
        sums: of the statements with a baseline.
        plan: int64 [statements], plan known last, 0 unknown; first those with a baseline, then all others.
        since: int64 [statements], intervals since it changed, the changing one included; 0: no change in sight.
        others: int64 [m, 2], the statements without a baseline, as `Statement`.
        failures: cells of the lookback.
        astray: int64, statements that failed last under another plan than `plan`, with which nothing ended well.
    """

    as_of_us: int
    past: PastModes
    ran_us: Longs
    judged_us: Longs
    several: bool
    sums: RunningSums
    plan: Longs
    since: Longs
    others: Longs
    failures: FailureCells
    astray: Longs

    def join(self, rows: SeriesRows, baselines: BaselineSet) -> Longs:
        """Number of the statement of each series; those never seen before become others."""
        found = self._find(rows, baselines)
        new = np.flatnonzero(found < 0)
        if len(new):
            keys = np.column_stack([rows.database_id[new], rows.query_hash[new]])
            found[new] = len(self.plan) + np.arange(len(new))
            self.others = np.vstack([self.others, keys])
            nothing = np.zeros(len(new), np.int64)
            self.plan, self.since = np.concatenate([self.plan, nothing]), np.concatenate([self.since, nothing])
        return found

    def _find(self, rows: SeriesRows, baselines: BaselineSet) -> Longs:
        table = baselines.table
        database = np.concatenate([table["database_id"].to_numpy(np.int64), self.others[:, 0]])
        query = np.concatenate([table["query_hash"].to_numpy(np.int64), self.others[:, 1]])
        known = pd.MultiIndex.from_arrays([database, query])
        wanted = pd.MultiIndex.from_arrays([rows.database_id, rows.query_hash])
        return known.get_indexer(wanted).astype(np.int64)


@dataclass(frozen=True)
class Step:
    """What is said of one tick.

    Attributes:
        evaluation: as `StatisticalDetector.evaluate` gives it.
        changed: statements that run with another plan than the one known last.
    """

    evaluation: Evaluation
    changed: tuple[Statement, ...]


def begin(frame: IntervalFrame, baselines: BaselineSet, as_of: datetime, policy: DetectorPolicy) -> RunningState:
    """The state after a judgement of the whole lookback.

    Args:
        frame: rows of the lookback.
        baselines: of the databases of `frame` and no others.
        as_of: the moment that was judged, aware UTC.
        policy: thresholds.
    """
    now = epoch_us(as_of)
    rows = series_rows(frame, now - _lookback_us(policy), now)
    ends = np.unique(rows.end_us)
    place = baseline_rows(rows, baselines.table)
    judged = rows.keep(place[rows.series] >= 0)
    usual = unpack(baselines.parameters, policy)
    learnt = usual.at(place[place >= 0])
    number, _ = tick_numbers(judged, np.array([now]), policy.step_us)
    heard = HeardScopes(learnt_scopes(judged, learnt, number, policy))
    comparison = compare(judged, learnt, number, policy, heard.view)
    names = frame.instance_codes()[1]
    ticks = int(_back(judged.end_us, now, policy).max(initial=0)) - _back(ends, now, policy)
    past = heard.past(ends[ticks >= 0], ticks[ticks >= 0], names, nothing_common(frame.databases))
    state = RunningState(
        now,
        past,
        _newest(past.database_ids, rows),
        _newest(past.database_ids, judged),
        heard.scopes.databases is not None,
        sums_of(comparison, place[place >= 0], len(baselines.table), policy),
        np.zeros(len(baselines.table), np.int64),
        np.zeros(len(baselines.table), np.int64),
        np.empty((0, 2), np.int64),
        cells_of(attempts_of(frame, now - _lookback_us(policy), now), baselines.table, usual.plan_hash),
        np.empty(0, np.int64),
    )
    known = state.join(rows, baselines)
    state.plan[known], state.since[known] = _plans(rows)
    failing = FailingStep(frame, now, usual.plan_hash, baselines.table, policy)
    failing.changed(state, (), known[:0])
    return state


class Advance:
    """Takes a state one tick further; it is spoilt where nothing comes of it.

    Args:
        state: of the databases; changed in place.
        baselines: of the same databases, the same as when the state began.
        policy: thresholds.
    """

    def __init__(self, state: RunningState, baselines: BaselineSet, policy: DetectorPolicy) -> None:
        self._state, self._baselines, self._policy = state, baselines, policy
        self._learnt = unpack(baselines.parameters, policy)

    def to(self, fresh: IntervalFrame, as_of: datetime, recent: RecentRows) -> Step | None:
        """Judge one tick.

        Args:
            fresh: all rows that ended after the moment judged last.
            as_of: the moment, aware UTC.
            recent: reads again what is needed in full.

        Returns:
            None where the whole lookback has to be judged: rows of more than one tick, ends that share their ticks
            otherwise than before, databases that are new, more or fewer in an instance, an instance or database that
            may be slow as a whole, or an instance that holds many up.
        """
        state, policy, now = self._state, self._policy, epoch_us(as_of)
        rows = series_rows(fresh, state.as_of_us, now)
        if not len(rows) or not fresh.databases.keys() <= state.past.refs.keys():
            return None
        idle = self._idle(rows, now)
        around = joined([_without(fresh, idle), recent.of_databases(idle)]) if idle else fresh
        past = state.past.after(now - _lookback_us(policy))
        ends = np.unique(rows.end_us)
        if past is None or _back(ends, now, policy).any() or not _same_ticks(past, ends, now, policy):
            return None
        statement = state.join(rows, self._baselines)
        changed = self._move_plans(rows, statement, ends)
        failing = FailingStep(around, now, self._learnt.plan_hash, self._baselines.table, policy)
        failing.note(state, fresh)
        changed = failing.changed(state, changed, statement)
        has_normal = statement < len(self._baselines.table)
        judged = rows.keep(has_normal[rows.series])
        state.ran_us = np.maximum(state.ran_us, _newest(past.database_ids, rows))
        state.judged_us = np.maximum(state.judged_us, _newest(past.database_ids, judged))
        if self._several(past, now - _lookback_us(policy)) != state.several:
            return None
        names = fresh.instance_codes()[1]
        state.past = past.then(self._add(judged, statement[has_normal], names, ends))
        state.as_of_us = now
        if len(changed) > _MOST or self._may_be_slow(now):
            return None
        found = self._said(around, as_of, recent)
        return None if found is None else Step(failing.into(found, state, recent), changed)

    def _idle(self, rows: SeriesRows, now: int) -> list[int]:
        """Databases without new rows whose last ones are so young that they are judged again."""
        state = self._state
        young = (state.ran_us > now - self._policy.step_us) & ~np.isin(state.past.database_ids, rows.database_id)
        found: list[int] = state.past.database_ids[young].tolist()
        return found

    def _several(self, past: PastModes, after_us: int) -> bool:
        """Whether statements with a baseline ran in several databases of an instance after a moment."""
        instance = past.instance_of[self._state.judged_us > after_us]
        return len(instance) > len(np.unique(instance))

    def _move_plans(self, rows: SeriesRows, statement: Longs, ends: Longs) -> tuple[Statement, ...]:
        state, found = self._state, np.zeros(len(rows), np.bool_)
        for end in ends.tolist():
            own = np.flatnonzero(rows.end_us == end)
            series, plan = rows.series[own], rows.plan_hash[own]
            number = statement[series]
            old, since = state.plan[number], state.since[number]
            changed = (plan != 0) & (old != 0) & (plan != old)
            state.since[number] = np.where(changed, 1, np.where(since > 0, since + 1, 0))
            state.plan[number] = np.where(plan != 0, plan, old)
            found[series] |= changed
        return tuple(zip(rows.database_id[found].tolist(), rows.query_hash[found].tolist(), strict=True))

    def _add(self, rows: SeriesRows, statements: Longs, names: Sequence[str], ends: Longs) -> PastModes:
        """Take the rows of the new tick into the sums; returns what they have in common."""
        policy, tick = self._policy, np.zeros(len(rows.series), np.int64)
        learnt = self._learnt.at(statements)
        heard = HeardScopes(learnt_scopes(rows, learnt, tick, policy, self._state.several))
        comparison = compare(rows, learnt, tick, policy, heard.view)
        figures, statement = interval_figures(comparison), statements[rows.series]
        dear = dear_flags(comparison) > 0
        for end in ends.tolist():
            own = rows.end_us == end
            self._state.sums.add(statement[own], figures[:, own], dear[:, own])
        return heard.past(ends, np.zeros(len(ends), np.int64), names, self._state.past)

    def _may_be_slow(self, now: int) -> bool:
        past, policy = self._state.past, self._policy
        return past.may_be_slow(np.unique(past.tick[_back(past.ends_us, now, policy) <= 1]), policy)

    def _said(self, around: IntervalFrame, as_of: datetime, recent: RecentRows) -> Evaluation | None:
        policy, now = self._policy, epoch_us(as_of)
        rows = series_rows(around, now - _lookback_us(policy), now)
        points = points_of(rows, np.array([now]), policy.step_us, _lookback_us(policy))
        ran = rows.series[points.row]
        place = baseline_rows(rows, self._baselines.table)[ran]
        judged = ran[place >= 0]
        fires = self._screen(rows, judged, place[place >= 0], around)
        wanted = list(zip(rows.database_id[fires].tolist(), rows.query_hash[fires].tolist(), strict=True))
        found: Evaluation | None = Evaluation(as_of, (), (), frozenset(), 0, 0)
        if len(wanted) > _MOST:
            return None
        if wanted:
            found = self._judged(recent.of_statements(wanted), as_of)
        active = Active(rows.database_id[ran], rows.query_hash[ran], around.databases)
        return found and replace(found, active=active, judged=len(judged), unjudged=len(ran) - len(judged))

    def _screen(self, rows: SeriesRows, judged: Longs, place: Longs, frame: IntervalFrame) -> Longs:
        """Series that may fire."""
        least = {number: 1e6 * self._policy.min_extra_seconds(ref) for number, ref in frame.databases.items()}
        min_extra_us = np.array([least[number] for number in rows.database_id[judged].tolist()], np.float64)
        state = self._state
        screen = Screen(state.sums, place, self._learnt.at(place), state.since[place], min_extra_us, self._policy)
        return judged[screen.may_fire()]

    def _judged(self, frame: IntervalFrame, as_of: datetime) -> Evaluation | None:
        """Judge statements by their whole lookback; None where they ran at ticks that are not known."""
        policy, now, past = self._policy, epoch_us(as_of), self._state.past
        rows = series_rows(frame, now - _lookback_us(policy), now)
        if not np.isin(rows.end_us, past.ends_us).all():
            return None
        moment = np.array([now])
        points = points_of(rows, moment, policy.step_us, _lookback_us(policy))
        number, moments = tick_numbers(rows, moment, policy.step_us)
        place = baseline_rows(rows, self._baselines.table)
        known = KnownScopes(past, rows, frame.instance_codes()[1], number)
        comparison = compare(rows, self._learnt.at(place), number, policy, known.view)
        found = JudgedMoments(frame, (rows, points), points, comparison, policy)
        self._state.sums.bind(place, bounds_of_windows(comparison, interval_figures(comparison), policy))
        return found.evaluation(0, as_of, int(moments[0]), nothing_known)


def _lookback_us(policy: DetectorPolicy) -> int:
    return policy.step_us * policy.lookback_intervals


def _back(ends_us: Longs, now: int, policy: DetectorPolicy) -> Longs:
    """Ticks from each end to the moment; see `tick_numbers`."""
    found: Longs = np.maximum((now - ends_us + policy.step_us // 2) // policy.step_us, 0)
    return found


def _same_ticks(past: PastModes, ends: Longs, now: int, policy: DetectorPolicy) -> bool:
    """Whether ends share a tick of the moment where they did before, and new ones with none of them."""
    back = _back(np.append(past.ends_us, ends[:1]), now, policy)
    tick = np.append(past.tick, past.instances.statements.shape[1])
    return bool(((np.diff(back) == 0) == (np.diff(tick) == 0)).all())


def _newest(database_ids: Longs, rows: SeriesRows) -> Longs:
    """Newest end of each database, 0 without rows."""
    found = np.zeros(len(database_ids), np.int64)
    if len(rows):
        np.maximum.at(found, np.searchsorted(database_ids, rows.database_id), rows.end_us[rows.bounds[1:] - 1])
    return found


def _plans(rows: SeriesRows) -> tuple[Longs, Longs]:
    """Plan known last and intervals since it changed, of each series."""
    plan = np.zeros(len(rows), np.int64)
    known = np.flatnonzero(rows.plan_hash)
    plan[rows.series[known]] = rows.plan_hash[known]
    last = rows.bounds[1:] - 1
    changed = plan_changes_at(rows)[0][last] if len(rows) else last
    return plan, np.where(changed >= 0, last - changed + 1, 0)


def _without(frame: IntervalFrame, database_ids: Sequence[int]) -> IntervalFrame:
    """The rows of other databases."""
    return replace(frame, rows=frame.rows[~frame.rows["database_id"].isin(database_ids)].reset_index(drop=True))


def joined(frames: Sequence[IntervalFrame]) -> IntervalFrame:
    """Rows of different databases as one frame."""
    if len(frames) == 1:
        return frames[0]
    rows = pd.concat([frame.rows for frame in frames]).sort_values("database_id", kind="stable", ignore_index=True)
    return IntervalFrame(rows, {number: ref for frame in frames for number, ref in frame.databases.items()})
