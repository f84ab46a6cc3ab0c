"""Pools to learn from, with what learning any view of them needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.common.scopes import Scopes
from dbplanmon_pipeline.core.verdict.normal.null import WindowLength, window_lengths
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import (
    DAY_US,
    HourRuns,
    around_the_hour,
    around_today,
    by_hour,
    hour_runs,
)
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows

_TODAY = 6.0
_ROWS = 96_000
"""Pools of a stretch, 400 KB per line: with fewer, the calls cost more than the memory that they save."""


@dataclass(frozen=True)
class Stretch:
    """Some series in a row.

    Attributes:
        series: which.
        rows: theirs.
        place: where these lie among all pools.
        runs: their hours.
        windows: their windows of each length.
        samples: float64 [series, 24], independent samples of each hour of the day and its neighbours; what ran today
            tells what is normal today, even if nothing of habits, and the less the more hours have passed.
        weekend_samples: float64 [series], independent samples of weekends, by twos.
        young: bool [series], seen for less than a day.
    """

    series: slice
    rows: PooledRows
    place: slice
    runs: HourRuns
    windows: list[WindowLength]
    samples: Floats
    weekend_samples: Floats
    young: NDArray[np.bool_]


@dataclass(frozen=True)
class History:
    """What learning any view of the same pools needs.

    Attributes:
        rows: the series.
        scopes: who shares a fate with whom.
        stretches: all series, some at a time.
    """

    rows: PooledRows
    scopes: Scopes
    stretches: Sequence[Stretch]

    @property
    def samples(self) -> Floats:
        """Of all series; see `Stretch`."""
        return np.concatenate([stretch.samples for stretch in self.stretches])


def history_of(rows: PooledRows, scopes: Scopes, policy: DetectorPolicy) -> History:
    """Prepare pools; every series has at least one.

    Args:
        rows: to learn from.
        scopes: of the pools.
        policy: thresholds.
    """
    return History(rows, scopes, [_stretch(rows, part, policy) for part in rows.parts(_ROWS)])


def _stretch(all_rows: PooledRows, series: slice, policy: DetectorPolicy) -> Stretch:
    rows = all_rows.part(series)
    runs = hour_runs(rows)
    samples = by_hour(runs, runs.samples, len(rows))
    place = slice(int(all_rows.bounds[series.start]), int(all_rows.bounds[series.stop]))
    seen_us = rows.end_us[rows.bounds[1:] - 1] - rows.start_us[rows.bounds[:-1]]
    return Stretch(
        series=series,
        rows=rows,
        place=place,
        runs=runs,
        windows=window_lengths(rows, np.repeat(runs.day, runs.length), policy),
        samples=np.where((seen_us < DAY_US)[:, None], _TODAY * around_today(samples), around_the_hour(samples)),
        weekend_samples=np.bincount(runs.series, runs.samples * runs.weekend, minlength=len(rows)) / 2,
        young=seen_us < DAY_US,
    )
