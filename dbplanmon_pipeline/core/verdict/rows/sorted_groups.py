"""Order statistics of many groups at once: padded blocks of groups of like size, sorted along their rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals

BLOCK_CELLS = 1_000_000
"""Cells of one padded block: 8 MB per float64 matrix."""


def last_rows(first: Longs, end: Longs, width: int) -> Longs:
    """Row numbers of the last `width` rows of each group [groups, width], right-aligned; -1 where there is none.

    Args:
        first: number of the first row of each group.
        end: one past the last row.
        width: columns of the result.
    """
    rows = end[:, None] - width + np.arange(width, dtype=np.int64)
    return np.where(rows >= first[:, None], rows, -1)


def take(values: Reals, rows: Longs, missing: float = np.nan) -> Floats:
    """`values` at row numbers of any shape; `missing` at -1."""
    if not len(values):
        return np.full(rows.shape, missing)
    return np.where(rows >= 0, values[rows], missing)


def blocks(counts: Longs, cells: int = BLOCK_CELLS) -> Iterator[Longs]:
    """Number groups in blocks of like size, each of at most `cells` cells once padded to its largest group."""
    order = np.argsort(-counts, kind="stable")
    falling = -counts[order]
    at = 0
    while at < len(order):
        width = max(1, int(counts[order[at]]))
        half = int(np.searchsorted(falling, -(width // 2), side="left"))
        stop = max(at + 1, min(at + max(1, cells // width), half))
        yield order[at:stop]
        at = stop


def sort_rows(matrix: Floats) -> tuple[Floats, Longs]:
    """Each row in rising order with NaN last, and how many numbers it holds."""
    ordered = np.sort(matrix, axis=1)
    return ordered, np.count_nonzero(~np.isnan(matrix), axis=1).astype(np.int64)


def row_quantiles(ordered: Floats, counts: Longs, share: float) -> Floats:
    """Quantile of the first `counts` numbers of each sorted row, linear between neighbours; NaN for none."""
    position = np.maximum(counts - 1, 0) * share
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    at = np.arange(len(ordered))
    below = ordered[at, low]
    return np.where(counts > 0, below + (ordered[at, high] - below) * (position - low), np.nan)


def group_quantiles(values: Reals, bounds: Longs, shares: tuple[float, ...]) -> tuple[Floats, ...]:
    """Quantiles of contiguous groups, NaN left out.

    Args:
        values: float64 [rows].
        bounds: int64 [groups + 1], first row of each group and the end.
        shares: which quantiles, 0..1.

    Returns:
        One float64 [groups] per share, NaN for a group without a number.
    """
    counts = np.diff(bounds)
    found = tuple(np.full(len(counts), np.nan) for _ in shares)
    if not len(values):
        return found
    for block in blocks(counts):
        width = max(1, int(counts[block[0]]))
        ordered, sizes = sort_rows(take(values, last_rows(bounds[block], bounds[block + 1], width)))
        for share, out in zip(shares, found, strict=True):
            out[block] = row_quantiles(ordered, sizes, share)
    return found


def group_medians(values: Reals, bounds: Longs) -> Floats:
    """Median of contiguous groups; see `group_quantiles`."""
    return group_quantiles(values, bounds, (0.5,))[0]


def bounds_of(groups: NDArray[np.int64], number: int) -> Longs:
    """Bounds [number + 1] of rows that are sorted by group number."""
    return np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=number))]).astype(np.int64)
