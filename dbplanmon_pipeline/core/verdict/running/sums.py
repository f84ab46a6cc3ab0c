"""What is kept of each statement between two steps: sums over its newest intervals, and bounds on the long windows.

The sums follow `windows.py`: weight and weighted residual of each view, extra cost of each metric. Those over the
newest 12 intervals are known exactly. Of a window longer than that, as it stands now and after each of the next 12
intervals, the largest sums it can reach are kept: by then its old end has moved on by so many rows, and what came in at
the new end is known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import METRICS, VIEWS
from dbplanmon_pipeline.core.verdict.rows.sorted_groups import last_rows, take
from dbplanmon_pipeline.core.verdict.rows.windows import running_sums

NEWEST = 12
"""Intervals of which every sum is known, and intervals for which a bound holds."""

_SLOTS = NEWEST + 1
_NEWEST_BITS = (1 << NEWEST) - 1
WEIGHT, WEIGHTED, EXTRA = 0, len(VIEWS), 2 * len(VIEWS)
_SUMS = EXTRA + len(METRICS)


def long_windows(policy: DetectorPolicy) -> list[int]:
    """Numbers of the scales that need bounds."""
    return [number for number, scale in enumerate(policy.scales) if scale.intervals > NEWEST]


@dataclass(frozen=True)
class Bounds:
    """Bounds on the old part of long windows, one column per statement.

    Attributes:
        weight: float64 [windows, views, n], least weight.
        weighted: float64 [windows, views, n], greatest weighted residual; -inf: the window is not full by then.
        extra: float64 [windows, metrics, n], greatest extra cost [microseconds].
        span_us: float64 [windows, n], shortest wall time.
    """

    weight: Floats
    weighted: Floats
    extra: Floats
    span_us: Floats

    def at(self, chosen: Longs) -> "Bounds":
        """Some statements."""
        return Bounds(*(values[..., chosen] for values in self.parts()))

    def put(self, chosen: Longs, other: "Bounds") -> None:
        """Replace those of some statements."""
        for mine, new in zip(self.parts(), other.parts(), strict=True):
            mine[..., chosen] = new

    def parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        """All arrays, in the order of the constructor."""
        return self.weight, self.weighted, self.extra, self.span_us


@dataclass(frozen=True)
class RunningSums:
    """Running sums of statements, which move on in place.

    Attributes:
        rows: int64 [n], intervals seen of each.
        sums: float64 [sums, slots, n]; slot r % slots holds the sums over the first r intervals.
        bounds: of the long windows.
        bounded: int64 [n], intervals seen when the bounds were taken.
        holds: int64 [n], for so many more they hold.
        dear: int64 [metrics, n], which of the newest 12 intervals had a dear execution, a bit for each.
    """

    rows: Longs
    sums: Floats
    bounds: Bounds
    bounded: Longs
    holds: Longs
    dear: Longs

    def add(self, statements: Longs, figures: Floats, dear: NDArray[np.bool_]) -> None:
        """One more interval of some statements.

        Args:
            statements: int64 [m], each at most once.
            figures: float64 [sums, m], see `interval_figures`.
            dear: bool [metrics, m], whether it had a dear execution.
        """
        self.dear[:, statements] = (self.dear[:, statements] << 1 | dear) & _NEWEST_BITS
        before = self.rows[statements] % _SLOTS
        self.rows[statements] += 1
        self.sums[:, self.rows[statements] % _SLOTS, statements] = self.sums[:, before, statements] + figures

    def newest(self, part: int, statements: Longs, length: Longs) -> Floats:
        """Sum over the last `length` intervals, at most 12 and at most as many as there are [m]."""
        rows = self.rows[statements]
        last, first = rows % _SLOTS, (rows - np.minimum(length, rows)) % _SLOTS
        found: Floats = self.sums[part, last, statements] - self.sums[part, first, statements]
        return found

    def mean(self, view: int, statements: Longs, length: Longs) -> Floats:
        """Mean residual of a view over the last `length` intervals; 0 where nothing is known."""
        weight = self.newest(WEIGHT + view, statements, length)
        known = weight > 1e-6
        return np.where(known, self.newest(WEIGHTED + view, statements, length) / np.where(known, weight, 1.0), 0.0)

    def dear_ones(self, metric: int, statements: Longs) -> Longs:
        """How many of the newest 12 intervals had a dear execution [m]."""
        bits = self.dear[metric, statements]
        found: Longs = np.array([(bits >> number) & 1 for number in range(NEWEST)]).sum(axis=0)
        return found

    def since_bounded(self, statements: Longs) -> Longs:
        """Intervals since the bounds were taken."""
        found: Longs = self.rows[statements] - self.bounded[statements]
        return found

    def bind(self, statements: Longs, bounds: Bounds) -> None:
        """Bounds taken now."""
        self.bounds.put(statements, bounds)
        self.bounded[statements] = self.rows[statements]
        self.holds[statements] = NEWEST


def no_sums(statements: int, policy: DetectorPolicy) -> RunningSums:
    """Statements that have not run yet."""
    windows = len(long_windows(policy))
    bounds = Bounds(
        np.zeros((windows, len(VIEWS), statements)),
        np.full((windows, len(VIEWS), statements), -np.inf),
        np.zeros((windows, len(METRICS), statements)),
        np.zeros((windows, statements)),
    )
    nothing = np.zeros(statements, np.int64)
    sums = np.zeros((_SUMS, _SLOTS, statements))
    dear = np.zeros((len(METRICS), statements), np.int64)
    return RunningSums(nothing, sums, bounds, nothing.copy(), np.full(statements, NEWEST), dear)


def interval_figures(comparison: Comparison) -> Floats:
    """Figures of each row of a comparison [sums, rows]; 0 where nothing is known."""
    rows = np.arange(len(comparison.rows.series))
    one = np.ones(len(rows), np.int64)
    found = np.zeros((_SUMS, len(rows)))
    for number, view in enumerate(VIEWS):
        if view in comparison.views:
            sums = comparison.views[view]
            found[WEIGHT + number] = sums.weight(rows, one)
            found[WEIGHTED + number] = found[WEIGHT + number] * sums.mean(rows, one)
    for number, metric in enumerate(METRICS):
        costs = comparison.costs[metric]
        found[EXTRA + number] = np.nan_to_num(costs.observed_us - costs.expected_us)
    return found


def dear_flags(comparison: Comparison) -> Floats:
    """1 for rows with a dear execution [metrics, rows]."""
    found = np.zeros((len(METRICS), len(comparison.rows.series)))
    for number, metric in enumerate(METRICS):
        found[number, comparison.dear[metric].row] = 1.0
    return found


def sums_of(comparison: Comparison, statements: Longs, number: int, policy: DetectorPolicy) -> RunningSums:
    """Running sums after the rows of a comparison.

    Args:
        comparison: rows of some statements.
        statements: int64 [series], which of `number` statements each series is.
        number: statements in all.
        policy: names the windows.
    """
    found = no_sums(number, policy)
    rows = comparison.rows
    figures = interval_figures(comparison)
    counts = rows.counts
    found.rows[statements] = counts
    last = last_rows(rows.bounds[:-1], rows.bounds[1:], NEWEST)
    sums = np.zeros((len(counts), _SLOTS))
    back = np.arange(NEWEST, -1, -1)
    slots = np.maximum(counts[:, None] - back, 0) % _SLOTS
    for part, values in enumerate(figures):
        sums[:, 1:] = np.cumsum(take(values, last, 0.0), axis=1)
        own = np.zeros((len(counts), _SLOTS))
        np.put_along_axis(own, slots, sums, axis=1)
        found.sums[part][:, statements] = own.T
    for flags, bits in zip(dear_flags(comparison), found.dear, strict=True):
        bits[statements] = take(flags, last, 0.0).astype(np.int64)[:, ::-1] @ (1 << np.arange(NEWEST))
    found.bind(statements, bounds_of_windows(comparison, figures, policy))
    # Not all statements at once need new ones later.
    found.holds[:] = NEWEST - np.arange(number) % NEWEST
    return found


def bounds_of_windows(comparison: Comparison, figures: Floats, policy: DetectorPolicy) -> Bounds:
    """Bounds for each series of a comparison; see `RunningSums`."""
    rows = comparison.rows
    lengths = [policy.scales[number].intervals for number in long_windows(policy)]
    found = no_sums(len(rows), policy).bounds
    end, counts = rows.bounds[1:], rows.counts
    sums = [running_sums(values) for values in figures]
    for window, length in enumerate(lengths):
        kept = length - np.arange(NEWEST + 1)
        fits = kept <= counts[:, None]
        first = np.where(fits, end[:, None] - kept, end[:, None])
        least = np.where(fits[:, -1], end - kept[-1], end)
        for view in range(len(VIEWS)):
            weighted = sums[WEIGHTED + view]
            found.weight[window, view] = sums[WEIGHT + view][end] - sums[WEIGHT + view][least]
            found.weighted[window, view] = np.where(fits, weighted[end, None] - weighted[first], -np.inf).max(axis=1)
        for metric in range(len(METRICS)):
            extra = sums[EXTRA + metric]
            found.extra[window, metric] = np.where(fits, extra[end, None] - extra[first], -np.inf).max(axis=1)
        found.span_us[window] = np.where(fits[:, -1], _span_us(rows.end_us, rows.start_us, least, end), 0.0)
    return found


def _span_us(end_us: Longs, start_us: Longs, first: Longs, end: Longs) -> NDArray[np.float64]:
    last = np.maximum(end - 1, 0)
    return (end_us[last] - start_us[np.minimum(first, last)]).astype(np.float64)
