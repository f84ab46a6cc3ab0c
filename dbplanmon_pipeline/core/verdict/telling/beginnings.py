"""When many rises began, found at once: statements that stay slow are asked at every moment."""

from collections.abc import Sequence

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.rules.findings import Fired

STILL_ELEVATED = 0.5
"""Share of the mean rise from which on an interval is elevated."""

_FINDINGS = 256
"""Findings looked at together: their lookbacks fit into the cache of a processor."""


def first_bad_rows(comparison: Comparison, findings: Sequence[Fired]) -> Longs:
    """First row of the run of elevated intervals that leads to each finding; single intervals may drop out of it."""
    found = np.empty(len(findings), np.int64)
    for number, fired in enumerate(findings):
        if fired.whole:
            dear = comparison.dear[fired.metric].row
            found[number] = dear[np.searchsorted(dear, fired.row + 1 - fired.intervals)]
    for metric, costs in comparison.costs.items():
        own = [number for number, fired in enumerate(findings) if fired.metric == metric and not fired.whole]
        for first in range(0, len(own), _FINDINGS):
            some = own[first : first + _FINDINGS]
            columns = zip(*((findings[n].row, findings[n].oldest, findings[n].intervals) for n in some), strict=True)
            found[some] = _first_bad(costs.residual, *(np.array(column, np.int64) for column in columns))
    return found


def _first_bad(residual: Floats, row: Longs, oldest: Longs, intervals: Longs) -> Longs:
    """The same for windows of one metric, by the last row, the oldest row that may be looked at, and the length."""
    back = np.arange(int((row - oldest).max(initial=0)) + 1)
    values = residual[np.maximum(row[:, None] - back, 0)]
    inside = back <= (row - oldest)[:, None]
    window = back < intervals[:, None]
    known = window & ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
        # Unknown intervals are not elevated.
        high = values > STILL_ELEVATED * np.maximum(mean, 0.0)[:, None]
    high &= inside
    gaps = inside[:, 1:] & ~high[:, 1:] & ~high[:, :-1]
    gap = np.where(gaps.any(axis=1), np.argmax(gaps, axis=1), len(back))
    high &= back < gap[:, None]
    furthest = len(back) - 1 - np.argmax(high[:, ::-1], axis=1)
    found: Longs = row - np.where(high.any(axis=1), furthest, intervals - 1)
    return found
