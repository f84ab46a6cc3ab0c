"""What the statements of one simulated database cost and how often they run, as closed forms of time.

Executions up to a moment are the whole part of rate x (integral of a load curve with a day, a week and noise). The cost
of the i-th execution repeats a fixed pattern, so sums, sums of squares and extremes of the first n executions are
look-ups, and they are exactly those of n single executions.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.providers.simulated.randomness import Words, normals, stream_keys, uniforms

HISTORY_BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
HISTORY_BEGINS_US = int(HISTORY_BEGINS.timestamp()) * 1_000_000

_DAY_S = 86_400.0
_WEEK_S = 7 * _DAY_S
_NOISE_SLOT_S = 120.0
_NOISE_SPAN_S = 24.0
_KINDS = 16
_INNER = 64
_OUTER = 64


@dataclass(frozen=True, slots=True)
class CostPattern:
    """Running figures of two nested cycles of cost factors.

    The i-th execution costs inner[i % 64] x outer[i // 64 % 64]. Both cycles have the mean 1. Every table is float64
    [kinds, 65]: column k covers the first k factors.
    """

    inner_sum: Floats
    inner_square: Floats
    inner_min: Floats
    inner_max: Floats
    outer: Floats
    outer_sum: Floats
    outer_square: Floats
    outer_min: Floats
    outer_max: Floats

    def first(self, kind: Longs, executions: Longs) -> "UnitCosts":
        """Figures of the first n executions, in units of the mean cost.

        Args:
            kind: pattern number per row.
            executions: n per row, >= 0.
        """
        blocks, rest = np.divmod(executions, _INNER)
        cycles, block = np.divmod(blocks, _OUTER)
        running = self.outer[kind, block]
        reached = np.where(cycles > 0, _OUTER, block)
        return UnitCosts(
            total=self.inner_sum[kind, _INNER] * (cycles * self.outer_sum[kind, _OUTER] + self.outer_sum[kind, block])
            + running * self.inner_sum[kind, rest],
            square=self.inner_square[kind, _INNER]
            * (cycles * self.outer_square[kind, _OUTER] + self.outer_square[kind, block])
            + running**2 * self.inner_square[kind, rest],
            low=np.minimum(
                self.inner_min[kind, _INNER] * self.outer_min[kind, reached], running * self.inner_min[kind, rest]
            ),
            high=np.maximum(
                self.inner_max[kind, _INNER] * self.outer_max[kind, reached], running * self.inner_max[kind, rest]
            ),
        )


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """Sum, sum of squares and extremes of some executions; `low` is infinite and `high` 0 where there are none."""

    total: Floats
    square: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Workload:
    """The statements of one database; row i of every array is statement i.

    Attributes:
        rate_per_s: executions, mean over a week.
        elapsed_us / cpu_share / reads_pages / rows: per execution; worker time is elapsed time x share.
        writes_pages: per execution, 0 for a reading statement.
        pattern: kind of cost pattern.
        day_swing / day_phase / week_phase / noise: shape of the load curve.
    """

    rate_per_s: Floats
    elapsed_us: Floats
    cpu_share: Floats
    reads_pages: Floats
    writes_pages: Floats
    rows: Floats
    pattern: Longs
    day_swing: Floats
    day_phase: Floats
    week_phase: Floats
    noise: Words

    def executions(self, at_us: int | Longs, statement: Longs | None = None) -> Longs:
        """Executions since the history began, up to and with a moment [epoch microseconds], per statement."""
        pick = slice(None) if statement is None else statement
        seconds = (np.asarray(at_us, dtype=np.int64) - HISTORY_BEGINS_US) / 1e6
        load = (
            seconds
            + _wave(seconds, self.day_swing[pick], self.day_phase[pick], _DAY_S)
            + _wave(seconds, 0.15, self.week_phase[pick], _WEEK_S)
            + _bridge(seconds, self.noise[pick])
        )
        return np.maximum(np.floor(self.rate_per_s[pick] * load), 0.0).astype(np.int64)


def workload(seed: int, instance: str, database: str, statements: int, small: frozenset[int]) -> Workload:
    """The workload of one database.

    Args:
        seed: with the two names, all the figures depend on.
        instance: name.
        database: name.
        statements: how many.
        small: statements that cost 3 ms once a minute, so that even their doubling matters to nobody.
    """
    keys = stream_keys(seed, instance, database, count=statements)

    def draw(position: int) -> Floats:
        return uniforms(keys, position)

    def bell(position: int) -> Floats:
        return normals(keys, position)

    elapsed_us = np.clip(8_000.0 * np.exp(1.9 * bell(10)), 100.0, 5_000_000.0)
    # No statement keeps more than 0.3 sessions busy, as nobody runs a report of 5 s twenty times a second.
    rate = np.clip(0.1 * np.exp(1.4 * bell(11)), 1 / 7_200, np.minimum(20.0, 3e5 / elapsed_us))
    for statement in small:
        elapsed_us[statement], rate[statement] = 3_000.0, 1 / 60
    writes = np.arange(statements) % 5 == 4
    reads_pages = np.maximum(3.0, np.floor(elapsed_us / (5.0 + 55.0 * draw(1))))
    return Workload(
        rate_per_s=rate,
        elapsed_us=elapsed_us,
        cpu_share=0.4 + 0.55 * draw(2),
        reads_pages=reads_pages,
        writes_pages=np.where(writes, np.ceil(reads_pages * 0.1), 0.0),
        rows=np.ceil(reads_pages * draw(3)),
        pattern=np.floor(_KINDS * draw(4)).astype(np.int64),
        day_swing=0.2 + 0.4 * draw(5),
        day_phase=np.pi * (1.0 + 0.3 * draw(6)),
        week_phase=2 * np.pi * draw(7),
        noise=stream_keys("noise", seed, instance, database, count=statements),
    )


@lru_cache(maxsize=1)
def cost_pattern() -> CostPattern:
    """The patterns all simulated databases share: spreads from 0.1 to 0.6 log units, slow drift of 3 %."""
    kinds = stream_keys("cost pattern", count=2 * _KINDS).reshape(2 * _KINDS, 1)
    spread = np.linspace(0.1, 0.6, _KINDS).reshape(_KINDS, 1)
    inner = _mean_one(np.exp(spread * normals(kinds[:_KINDS], np.arange(_INNER).reshape(1, -1))))
    outer = _mean_one(np.exp(0.03 * normals(kinds[_KINDS:], np.arange(_OUTER).reshape(1, -1))))
    return CostPattern(
        inner_sum=_running(np.cumsum(inner, axis=1), 0.0),
        inner_square=_running(np.cumsum(inner**2, axis=1), 0.0),
        inner_min=_running(np.minimum.accumulate(inner, axis=1), np.inf),
        inner_max=_running(np.maximum.accumulate(inner, axis=1), 0.0),
        outer=outer,
        outer_sum=_running(np.cumsum(outer, axis=1), 0.0),
        outer_square=_running(np.cumsum(outer**2, axis=1), 0.0),
        outer_min=_running(np.minimum.accumulate(outer, axis=1), np.inf),
        outer_max=_running(np.maximum.accumulate(outer, axis=1), 0.0),
    )


def _mean_one(factors: Floats) -> Floats:
    return np.asarray(factors / factors.mean(axis=1, keepdims=True))


def _running(table: Floats, before: float) -> Floats:
    return np.column_stack([np.full(len(table), before), table])


def _wave(seconds: Floats, swing: Floats | float, phase: Floats, period_s: float) -> Floats:
    """Integral of swing x sin(2 pi t / period + phase) from 0, in seconds."""
    turn = 2 * np.pi / period_s
    return np.asarray(swing / turn * (np.cos(phase) - np.cos(turn * seconds + phase)))


def _bridge(seconds: Floats, keys: Words) -> Floats:
    """Seconds of work that come early or late, at most 12: it changes slower than the load grows, so none is undone."""
    slot = np.floor(seconds / _NOISE_SLOT_S)
    part = seconds / _NOISE_SLOT_S - slot
    number = np.maximum(slot, 0.0).astype(np.int64)
    before, after = uniforms(keys, number), uniforms(keys, number + 1)
    return np.asarray(_NOISE_SPAN_S * ((1 - part) * before + part * after - 0.5))
