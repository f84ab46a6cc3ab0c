"""Everything judged over some moments, given out moment by moment."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.common.slow_instances import SlowDatabases, SlowInstances
from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.model import Evaluation, Known, Verdict
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows
from dbplanmon_pipeline.core.verdict.rows.ticks import Active, Points
from dbplanmon_pipeline.core.verdict.rules.findings import Fired, find
from dbplanmon_pipeline.core.verdict.rules.scales import Judge
from dbplanmon_pipeline.core.verdict.telling.beginnings import first_bad_rows
from dbplanmon_pipeline.core.verdict.telling.explained import verdict_of


@dataclass(frozen=True)
class JudgedMoments:
    """Recent rows, judged at several moments.

    Attributes:
        frame: where the rows come from.
        active: all series with their points.
        judged: points of statements with a baseline, by rows of the comparison.
        comparison: their rows against their normal.
        policy: thresholds.
    """

    frame: IntervalFrame
    active: tuple[SeriesRows, Points]
    judged: Points
    comparison: Comparison
    policy: DetectorPolicy

    def evaluation(self, number: int, as_of: datetime, tick: int, known: Known) -> Evaluation:
        """What is said at one moment.

        Args:
            number: of the moment.
            as_of: the moment, aware UTC.
            tick: its number on the grid of the common mode.
            known: see `Evaluation.unchanged`.
        """
        rows, points = self.active
        ran = rows.series[points.row[slice(*_part(points, number))]]
        judged = int(np.diff(_part(self.judged, number))[0])
        verdicts: list[Verdict] = []
        unchanged: dict[tuple[DatabaseRef, int], datetime] = {}
        for place, fired in enumerate(self._fired.get(number, ())):
            ref, query_hash = self._statement(fired)
            if known(ref, query_hash):
                unchanged[ref, query_hash] = from_epoch_us(self._began_us[number][place])
            else:
                verdicts.append(verdict_of(self.comparison, fired, ref, self.policy))
        slow = self._slow.at(tick, epoch_us(as_of))
        instances = frozenset(verdict.instance for verdict in slow)
        databases = self._slow_databases.at(tick, epoch_us(as_of), instances)
        return Evaluation(
            as_of=as_of,
            verdicts=tuple(verdicts),
            instance_verdicts=slow + databases,
            active=Active(rows.database_id[ran], rows.query_hash[ran], self.frame.databases),
            judged=judged,
            unjudged=len(ran) - judged,
            slow_instances=instances,
            unchanged=unchanged,
            slow_databases=frozenset(DatabaseRef(verdict.instance, verdict.database) for verdict in databases),
        )

    @cached_property
    def _fired(self) -> dict[int, list[Fired]]:
        by_moment: dict[int, list[Fired]] = {}
        for fired in find(Judge(self.comparison, self._min_extra_us(), self.policy), self.judged):
            by_moment.setdefault(fired.tick, []).append(fired)
        return by_moment

    @cached_property
    def _began_us(self) -> dict[int, list[int]]:
        """Start of the first bad interval of each finding of each moment."""
        every = [fired for of_moment in self._fired.values() for fired in of_moment]
        began = iter(self.comparison.rows.start_us[first_bad_rows(self.comparison, every)].tolist())
        return {number: list(islice(began, len(of_moment))) for number, of_moment in self._fired.items()}

    @cached_property
    def _slow(self) -> SlowInstances:
        return SlowInstances(self.comparison, self.frame.instance_codes()[1], self.policy)

    @cached_property
    def _slow_databases(self) -> SlowDatabases:
        return SlowDatabases(self.comparison, self.frame.databases, self.policy)

    def _min_extra_us(self) -> Floats:
        least = {number: 1e6 * self.policy.min_extra_seconds(ref) for number, ref in self.frame.databases.items()}
        return np.array([least[number] for number in self.comparison.rows.database_id.tolist()], np.float64)

    def _statement(self, fired: Fired) -> tuple[DatabaseRef, int]:
        rows = self.comparison.rows
        series = int(rows.series[fired.row])
        return self.frame.databases[int(rows.database_id[series])], int(rows.query_hash[series])


def _part(points: Points, number: int) -> Longs:
    """First point of a moment and the end."""
    found: Longs = np.searchsorted(points.tick, [number, number + 1])
    return found
