"""The statistical detector: each statement against its own normal, with what its instance has in common taken out."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.blocks import blocks_of, frames_of, instance_parts, together
from dbplanmon_pipeline.core.verdict.comparison import baseline_rows, compare
from dbplanmon_pipeline.core.verdict.failing.moments import failing_moments
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Evaluation, ExcludedSpan, Known, nothing_known
from dbplanmon_pipeline.core.verdict.moment import JudgedMoments
from dbplanmon_pipeline.core.verdict.normal.baseline import layout_of, learn_rows, pack, rows_to_learn, unpack
from dbplanmon_pipeline.core.verdict.normal.table import key_table, readable_table, rough_medians
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.frames import SeriesFrame, pools_between, rows_between
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows
from dbplanmon_pipeline.core.verdict.rows.series import METRICS, SeriesRows
from dbplanmon_pipeline.core.verdict.rows.ticks import Points, points_of, tick_numbers


class StatisticalDetector:
    """Implements `Detector`; holds nothing but its policy.

    A statement fires when the mean of its last intervals lies far outside what such means did in its baseline, the
    rise is large per execution, costs enough per hour and persists. A plan change lowers the bar for what came after.
    It also fires when its executions fail far more often since a change of plan.
    """

    def __init__(self, policy: DetectorPolicy | None = None) -> None:
        self.policy = policy or DetectorPolicy()

    @property
    def layout(self) -> str:
        """Layout of the baselines that this detector writes and reads."""
        return layout_of(self.policy)

    def learn(self, history: IntervalFrame, as_of: datetime, excluded: Sequence[ExcludedSpan] = ()) -> BaselineSet:
        """Baselines from the intervals that ended within `policy.days` before `as_of`.

        Args:
            history: interval rows; later and older ones are ignored.
            as_of: aware UTC.
            excluded: spans of statements that are not normal.

        Returns:
            One row per statement with at least `policy.min_intervals` active intervals.
        """
        until = epoch_us(as_of)
        since = epoch_us(as_of - timedelta(days=self.policy.days))
        tables: list[pd.DataFrame] = []
        parts = self._to_learn(history, since, until, excluded, tables)
        learnt = learn_rows(parts, self.policy)
        return BaselineSet(as_of, pd.concat(tables, ignore_index=True), pack(learnt), self.layout)

    def _to_learn(
        self,
        history: IntervalFrame,
        since: int,
        until: int,
        excluded: Sequence[ExcludedSpan],
        tables: list[pd.DataFrame],
    ) -> Iterator[PooledRows]:
        """Whole instances in pools, of which each is let go of before the next one; adds a table for each."""
        step, least = self.policy.step_us, self.policy.min_intervals
        if isinstance(history, SeriesFrame):
            rows = history.pools_between(since, until, step)
            rows = rows.keep(rows_to_learn(rows, excluded, history.databases, least))
            for part in instance_parts(rows):
                own = rows.part(part)
                # Nobody reads the baselines of a record that is gone through: a key is all that is needed.
                tables.append(key_table(own))
                yield own
            return
        for frame in frames_of(history):
            rows = pools_between(frame, since, until, step)
            kept = rows_to_learn(rows, excluded, frame.databases, least)
            tables.append(_table(rows.record.rows.keep(rows.record.where(kept)), until))
            yield rows.keep(kept)

    def evaluate(self, recent: IntervalFrame, baselines: BaselineSet, as_of: datetime) -> Evaluation:
        """Judge every statement that ran in the last interval.

        Args:
            recent: interval rows, best those of `policy.lookback` before `as_of`; others are ignored.
            baselines: what `learn` made.
            as_of: aware UTC.

        Raises:
            ValueError: the baselines have another layout.
        """
        return next(self.evaluate_span(recent, baselines, [as_of]))

    def evaluate_span(
        self, recent: IntervalFrame, baselines: BaselineSet, ticks: Sequence[datetime], known: Known = nothing_known
    ) -> Iterator[Evaluation]:
        """Judge several moments by the same baselines, oldest first; each as `evaluate` would.

        Args:
            recent: interval rows, best from `policy.lookback` before the first moment on.
            baselines: what `learn` made.
            ticks: rising, aware UTC.
            known: asked for each finding when its moment comes; see `Evaluation.unchanged`.

        Raises:
            ValueError: the baselines have another layout.
        """
        if baselines.layout != self.layout:
            raise ValueError(f"baselines of layout {baselines.layout!r} given, {self.layout!r} needed; rebuild them")
        if len(ticks) == 1 and not isinstance(recent, SeriesFrame):
            # Each block is let go of before the next one.
            blocks = blocks_of(recent, baselines)
            yield together([next(self._judge(frame, own, ticks, known)) for frame, own in blocks])
            return
        for part in self._spaced(ticks):
            yield from self._judge(recent, baselines, part, known)

    def _spaced(self, ticks: Sequence[datetime]) -> Iterator[Sequence[datetime]]:
        """Moments in stretches of which all are a step apart: only they can be judged in one go."""
        first = 0
        for at in range(1, len(ticks) + 1):
            if at == len(ticks) or ticks[at] - ticks[at - 1] < self.policy.step:
                yield ticks[first:at]
                first = at

    def _judge(
        self, recent: IntervalFrame, baselines: BaselineSet, ticks: Sequence[datetime], known: Known
    ) -> Iterator[Evaluation]:
        policy = self.policy
        ticks_us = np.array([epoch_us(tick) for tick in ticks], np.int64)
        lookback_us = policy.lookback // timedelta(microseconds=1)
        rows = rows_between(recent, int(ticks_us[0]) - lookback_us, int(ticks_us[-1]))
        points = points_of(rows, ticks_us, policy.step_us, lookback_us)
        number, moments = tick_numbers(rows, ticks_us, policy.step_us)
        place = baseline_rows(rows, baselines.table)
        has_normal = place[rows.series] >= 0
        judged = rows.keep(has_normal)
        learnt = unpack(baselines.parameters, policy)
        comparison = compare(judged, learnt.at(place[place >= 0]), number[has_normal], policy)
        failing = failing_moments(recent, baselines.table, learnt.plan_hash, ticks_us, policy)
        found = JudgedMoments(
            frame=recent,
            active=(rows, points),
            judged=_moved(points.at(has_normal[points.row]), has_normal),
            comparison=comparison,
            policy=policy,
        )
        for at, tick in enumerate(ticks):
            said = found.evaluation(at, tick, int(moments[at]), failing.unless_failing(at, known))
            yield failing.into(at, said)


def _table(rows: SeriesRows, until_us: int) -> pd.DataFrame:
    elapsed, worker = (np.exp(rough_medians(rows.log_cost[metric], rows)) for metric in METRICS)
    return readable_table(rows, (elapsed, worker), until_us)


def _moved(points: Points, kept: np.ndarray) -> Points:
    """The same points by the numbers that rows have once the others are gone."""
    number: Longs = np.cumsum(kept) - 1
    before = np.concatenate([[0], np.cumsum(kept)])
    return Points(number[points.row], points.tick, before[points.oldest])
