"""What fails in a new tick, from its own rows and what is kept of the ticks before; see `running/`."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.failing.attempts import (
    Around,
    Attempts,
    FailureCells,
    attempts_of,
    cells_of,
    places_in,
    with_usual_plan,
)
from dbplanmon_pipeline.core.verdict.failing.moments import FailingMoments, failing_shares, failing_verdicts
from dbplanmon_pipeline.core.verdict.failing.rule import newest_failures
from dbplanmon_pipeline.core.verdict.model import Evaluation
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy

Numbered = tuple[int, int]
"""Database id and query hash."""


class _Rows(Protocol):
    def of_statements(self, statements: Sequence[Numbered]) -> IntervalFrame: ...


class _Databases(Protocol):
    @property
    def refs(self) -> dict[int, DatabaseRef]: ...


class _State(Protocol):
    """The part of `RunningState` that is about failures."""

    as_of_us: int
    failures: FailureCells
    plan: Longs
    since: Longs
    others: Longs
    astray: Longs

    @property
    def past(self) -> _Databases: ...


class FailingStep:
    """Judges one tick; its methods are called in the order they stand here.

    Args:
        around: rows of all databases that ended within one step before the moment.
        now: the moment [epoch microseconds].
        plan_hash: int64, plan of each row of `table`.
        table: of the baselines.
        policy: thresholds.
    """

    def __init__(
        self, around: IntervalFrame, now: int, plan_hash: Longs, table: pd.DataFrame, policy: DetectorPolicy
    ) -> None:
        self._now, self._plan_hash, self._table, self._policy = now, plan_hash, table, policy
        self._lookback_us = policy.step_us * policy.lookback_intervals
        self._tried = attempts_of(around, now - policy.step_us, now)

    def note(self, state: _State, fresh: IntervalFrame) -> None:
        """Take the new rows into the cells."""
        rows = attempts_of(fresh, state.as_of_us, self._now)
        kept = state.failures.after(self._now - self._lookback_us)
        state.failures = kept.then(cells_of(rows, self._table, self._plan_hash)) if len(rows) else kept

    def changed(self, state: _State, changed: tuple[Numbered, ...], ran: Longs) -> tuple[Numbered, ...]:
        """Statements whose plan changed, those included of which nothing ended well under one of the plans.

        Args:
            state: its plans are those of regular executions, the new ones included.
            changed: found by these.
            ran: int64, numbers of the statements with new regular executions.
        """
        rows = self._tried.take((self._tried.failed > 0) & (self._tried.plan_hash != 0))
        number = self._numbers(state, rows)
        own = number >= 0
        off = np.unique(number[own][rows.plan_hash[own] != state.plan[number[own]]])
        back = np.intersect1d(state.astray, ran)
        state.astray = np.union1d(np.setdiff1d(state.astray, ran), off)
        if not len(off) and not len(back):
            return changed
        return tuple(dict.fromkeys([*changed, *self._names(state, np.union1d(off, back))]))

    def into(self, said: Evaluation, state: _State, recent: _Rows) -> Evaluation:
        """What is said of the tick, with what fails."""
        if not (self._tried.failed > 0).any():
            return said
        moment, step_us, refs = np.array([self._now]), self._policy.step_us, state.past.refs
        around = Around(state.failures, refs)
        newest = newest_failures(self._tried, moment, step_us, around)
        shares = failing_shares(self._tried, newest, refs)
        wanted = self._may_be_new(state, self._tried.take(newest.row))
        if not wanted:
            return FailingMoments({}, shares).into(0, said)
        rows = attempts_of(recent.of_statements(wanted), self._now - self._lookback_us, self._now)
        usual = with_usual_plan(rows, self._table, self._plan_hash)
        newest = newest_failures(rows, moment, step_us, around)
        found = failing_verdicts(rows, usual, newest, moment, around, refs, self._policy)
        return FailingMoments(found, shares).into(0, said)

    def _may_be_new(self, state: _State, rows: Attempts) -> list[Numbered]:
        """Statements that may have run with another plan before: the rule wants one under which executions ended well.

        Where the plan never changed as far as regular executions tell, the failing plan is the one of always.
        """
        number = self._numbers(state, rows)
        own = number[number >= 0]
        new = (rows.plan_hash[number >= 0] != state.plan[own]) | (state.since[own] > 0)
        return self._names(state, np.unique(own[new]))

    def _numbers(self, state: _State, rows: Attempts) -> Longs:
        if not len(rows):
            return np.empty(0, np.int64)
        database, query = (
            np.concatenate([self._table[name].to_numpy(np.int64), state.others[:, column]])
            for column, name in enumerate(("database_id", "query_hash"))
        )
        return places_in(rows, database, query)

    def _names(self, state: _State, numbers: Longs) -> list[Numbered]:
        known = len(self._table)
        table = self._table[["database_id", "query_hash"]].to_numpy(np.int64)
        rows = [table[number] if number < known else state.others[number - known] for number in numbers.tolist()]
        return [(int(database), int(query)) for database, query in rows]
