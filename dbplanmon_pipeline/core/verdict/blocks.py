"""Large fleets learnt and judged some instances at a time, as no instance has to do with another: little memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Evaluation
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows
from dbplanmon_pipeline.core.verdict.rows.ticks import Active

ROWS = 250_000
"""Rows of a block, unless one instance has more: judging takes half a kilobyte for each."""


def frames_of(frame: IntervalFrame, rows: int = ROWS) -> Iterator[IntervalFrame]:
    """Whole instances, as few at a time as have so many rows."""
    if len(frame.rows) <= rows:
        yield frame
        return
    row_of = np.append(frame.rows["database_id"].to_numpy(np.int64), np.iinfo(np.int64).max)
    for chosen in _instances(frame, row_of, rows):
        bounds = np.searchsorted(row_of, [[number, number + 1] for number in chosen])
        side_by_side = (bounds[1:, 0] == bounds[:-1, 1]).all()
        places = (
            slice(*bounds[[0, -1], [0, 1]]) if side_by_side else np.concatenate([np.arange(*one) for one in bounds])
        )
        yield IntervalFrame(frame.rows.iloc[places], {number: frame.databases[number] for number in chosen})


def blocks_of(
    frame: IntervalFrame, baselines: BaselineSet, rows: int = ROWS
) -> Iterator[tuple[IntervalFrame, BaselineSet]]:
    """Whole instances with their baselines, as few at a time as have so many rows."""
    known = baselines.table["database_id"].to_numpy(np.int64)
    for part in frames_of(frame, rows):
        if part is frame:
            yield frame, baselines
            return
        own = np.flatnonzero(np.isin(known, list(part.databases)))
        table = baselines.table.iloc[own].reset_index(drop=True)
        yield part, replace(baselines, table=table, parameters=baselines.parameters[own])


def _instances(frame: IntervalFrame, row_of: np.ndarray, rows: int) -> Iterator[list[int]]:
    """Rising database ids of some instances at a time."""
    members: dict[str, list[int]] = {}
    for number in sorted(frame.databases):
        members.setdefault(frame.databases[number].instance, []).append(number)
    chosen: list[int] = []
    held = 0
    for numbers in members.values():
        first, end = np.searchsorted(row_of, [numbers, [number + 1 for number in numbers]])
        own = int((end - first).sum())
        if chosen and held + own > rows:
            yield sorted(chosen)
            chosen, held = [], 0
        chosen += numbers
        held += own
    yield sorted(chosen)


def instance_parts(rows: SeriesRows, most: int = ROWS) -> list[slice]:
    """All series in stretches of whole instances, as few at a time as have so many rows.

    Where databases of several instances take turns, these stay together.
    """
    series = np.arange(len(rows))
    last = np.zeros(int(rows.instance.max(initial=-1)) + 1, np.int64)
    last[rows.instance] = series
    ends = np.flatnonzero(np.maximum.accumulate(last[rows.instance]) == series) + 1
    cuts = [0]
    for end, after in pairwise([*ends.tolist(), 0]):
        if not after or rows.bounds[after] - rows.bounds[cuts[-1]] > most:
            cuts.append(end)
    return [slice(first, end) for first, end in pairwise(cuts)] or [slice(0, 0)]


def together(parts: Sequence[Evaluation]) -> Evaluation:
    """What was said of one moment of several instances, in one."""
    if len(parts) == 1:
        return parts[0]
    return Evaluation(
        as_of=parts[0].as_of,
        verdicts=tuple(verdict for part in parts for verdict in part.verdicts),
        instance_verdicts=tuple(verdict for part in parts for verdict in part.instance_verdicts),
        active=Active.joined([part.active for part in parts if isinstance(part.active, Active)]),
        judged=sum(part.judged for part in parts),
        unjudged=sum(part.unjudged for part in parts),
        slow_instances=frozenset().union(*(part.slow_instances for part in parts)),
        unchanged={key: began for part in parts for key, began in part.unchanged.items()},
        slow_databases=frozenset().union(*(part.slow_databases for part in parts)),
        failing={key: share for part in parts for key, share in part.failing.items()},
    )
