"""The statements that cost most within a window, by each resource and by all of them together."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbplanmon_pipeline.core.ports import Hotspot
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame

RESOURCES = ("elapsed_time_us", "worker_time_us", "logical_reads_pages")
COMBINED = "combined"

HOTSPOT_COLUMNS = ("execution_count", *RESOURCES)
"""Metrics of an interval frame that the ranking uses, besides its key."""

_SMALLEST_SHARE = 0.001


def hotspots(frame: IntervalFrame, top_n: int = 10) -> list[Hotspot]:
    """Rank the statements of a window.

    The combined score of a statement is the mean of its percent ranks over the resources that are known at all. Only
    statements that hold at least 0.1 % of a resource are ranked by it, the others score 0 there, so that thousands of
    idle statements do not lift every busy one to the top. Its share is the mean of its shares.

    Args:
        frame: interval rows of the window.
        top_n: how many of each ranking.

    Returns:
        Up to `top_n` per resource and for `combined`, best first; resources nobody reports are left out. NaN totals
        are unknown. The rest that capture gathers counts in the whole, but is no statement to rank.
    """
    rows = frame.rows
    totals = rows.groupby(["database_id", "query_hash"], sort=True)[list(HOTSPOT_COLUMNS)].sum(min_count=1)
    whole = totals[list(RESOURCES)].sum(min_count=1)
    totals = totals[totals.index.get_level_values("query_hash") != OTHER_STATEMENTS]
    shares = totals[list(RESOURCES)] / whole.where(whole > 0)
    known = [name for name in RESOURCES if shares[name].notna().any()]
    scores = shares[known].copy()
    if known:
        scores[COMBINED] = _combined_scores(shares[known])
        shares[COMBINED] = shares[known].mean(axis=1)
    parts = {name: shares[name].to_numpy(np.float64) for name in scores.columns}
    keys, sums = totals.index.to_frame().to_numpy(np.int64), totals.to_numpy(np.float64)
    return [
        Hotspot(
            ref=frame.databases[int(keys[at, 0])],
            query_hash=int(keys[at, 1]),
            rank_by=rank_by,
            rank=rank,
            execution_count=float(sums[at, 0]),
            elapsed_time_us=float(sums[at, 1]),
            worker_time_us=float(sums[at, 2]),
            logical_reads_pages=float(sums[at, 3]),
            share=float(parts[rank_by][at]),
        )
        for rank_by in scores.columns
        for rank, at in enumerate(_best(scores[rank_by], shares[rank_by])[:top_n], start=1)
    ]


def _combined_scores(shares: pd.DataFrame) -> pd.Series:
    held = shares.where(shares >= _SMALLEST_SHARE)
    return held.rank(pct=True).fillna(0.0).mean(axis=1)


def _best(scores: pd.Series, shares: pd.Series) -> "NDArray[np.intp]":
    """Places with a score, best first; equal scores by share, then by statement."""
    score, share = (np.nan_to_num(values.to_numpy(np.float64)) for values in (scores, shares))
    order: NDArray[np.intp] = np.lexsort((-share, -score))
    best: NDArray[np.intp] = order[score[order] > 0]
    return best
