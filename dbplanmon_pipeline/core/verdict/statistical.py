"""The statistical detector: each statement against its own normal, with what its instance has in common taken out."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.verdict.baseline import layout_of, learn_rows, pack, without_excluded
from dbplanmon_pipeline.core.verdict.comparison import active_series, baseline_rows, compare
from dbplanmon_pipeline.core.verdict.explained import verdict_of
from dbplanmon_pipeline.core.verdict.findings import find
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Evaluation, ExcludedSpan
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import series_rows
from dbplanmon_pipeline.core.verdict.slow_instances import instance_verdicts
from dbplanmon_pipeline.core.verdict.table import readable_table


class StatisticalDetector:
    """Implements `Detector`; holds nothing but its policy.

    A statement fires when the mean of its last intervals lies far outside what such means did in its baseline, the
    rise is large per execution, costs enough per hour and persists. A plan change lowers the bar for what came after.
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
        rows = series_rows(history, epoch_us(as_of - timedelta(days=self.policy.days)), until)
        rows = without_excluded(rows, excluded, history.databases)
        rows = rows.keep(rows.counts[rows.series] >= self.policy.min_intervals)
        learnt = learn_rows(rows, until, self.policy)
        medians = (np.exp(learnt.metrics["elapsed_time_us"].median), np.exp(learnt.metrics["worker_time_us"].median))
        return BaselineSet(as_of, readable_table(rows, medians, until), pack(learnt), self.layout)

    def evaluate(self, recent: IntervalFrame, baselines: BaselineSet, as_of: datetime) -> Evaluation:
        """Judge every statement that ran in the last interval.

        Args:
            recent: interval rows, best those of `policy.lookback` before `as_of`; others are ignored.
            baselines: what `learn` made.
            as_of: aware UTC.

        Raises:
            ValueError: the baselines have another layout.
        """
        if baselines.layout != self.layout:
            raise ValueError(f"baselines of layout {baselines.layout!r} given, {self.layout!r} needed; rebuild them")
        now = epoch_us(as_of)
        rows = series_rows(recent, epoch_us(as_of - self.policy.lookback), now)
        active = active_series(rows, now, self.policy.step_us)
        known = baseline_rows(rows, baselines.table)
        refs = recent.databases
        comparison = compare(rows, known, baselines, now, self.policy)
        judged = np.flatnonzero(active[known >= 0])
        least = {number: 1e6 * self.policy.min_extra_seconds(ref) for number, ref in refs.items()}
        min_extra_us = np.array([least[number] for number in comparison.rows.database_id.tolist()], np.float64)
        verdicts = tuple(
            verdict_of(comparison, fired, refs[int(comparison.rows.database_id[fired.series])], self.policy)
            for fired in find(comparison, judged, min_extra_us, self.policy)
        )
        slow = instance_verdicts(comparison, recent.instance_codes()[1], now, self.policy)
        return Evaluation(
            as_of=as_of,
            verdicts=verdicts,
            instance_verdicts=slow,
            active=frozenset(
                (refs[database], query)
                for database, query in zip(
                    rows.database_id[active].tolist(), rows.query_hash[active].tolist(), strict=True
                )
            ),
            judged=len(judged),
            unjudged=int(np.count_nonzero(active & (known < 0))),
            slow_instances=frozenset(verdict.instance for verdict in slow),
        )
