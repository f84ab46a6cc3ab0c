"""What the statements of one simulated database cost and how often they run, as closed forms of time.

Executions up to a moment are the whole part of rate x (integral of a load curve with a day, a week and noise). The cost
of the i-th execution repeats a fixed pattern, so sums, sums of squares and bounds of the executions m to n are
look-ups.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
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
_LEVEL = np.array([0, *(length.bit_length() - 1 for length in range(1, _INNER + 1))])


@dataclass(frozen=True, slots=True)
class CostPattern:
    """Running figures of two nested cycles of cost factors.

    The i-th execution costs inner[i % 64] x outer[i // 64 % 64]. Both cycles have the mean 1.

    Attributes:
        inner_sum / inner_square / outer_sum / outer_square: float64 [kinds, 65], column k covers the first k factors.
        outer: float64 [kinds, 65], the factors themselves.
        lowest / highest: float64 [levels, kinds, 128], extremes of the 2^level inner factors from a place on.
        outer_lowest / outer_highest: float64 [kinds], extremes of all outer factors.
    """

    inner_sum: Floats
    inner_square: Floats
    outer: Floats
    outer_sum: Floats
    outer_square: Floats
    lowest: Floats
    highest: Floats
    outer_lowest: Floats
    outer_highest: Floats

    def first(self, kind: Longs, executions: Longs) -> tuple[Floats, Floats]:
        """Sum and sum of squares of the first n executions, in units of the mean cost.

        Args:
            kind: pattern number; broadcasts with `executions`.
            executions: n, >= 0.
        """
        blocks, rest = np.divmod(executions, _INNER)
        cycles, block = np.divmod(blocks, _OUTER)
        running = self.outer[kind, block]
        total = self.inner_sum[kind, _INNER] * (cycles * self.outer_sum[kind, _OUTER] + self.outer_sum[kind, block])
        square = self.inner_square[kind, _INNER] * (
            cycles * self.outer_square[kind, _OUTER] + self.outer_square[kind, block]
        )
        return (
            total + running * self.inner_sum[kind, rest],
            square + running**2 * self.inner_square[kind, rest],
        )

    def bounds(self, kind: Longs, begin: Longs, end: Longs) -> tuple[Floats, Floats]:
        """Bounds of the cost of single executions `begin` to `end` - 1, a few percent wide of the true extremes.

        Args:
            kind: pattern number per row.
            begin: execution number per row.
            end: likewise, greater.
        """
        length = np.minimum(end - begin, _INNER)
        level = _LEVEL[length]
        place = begin % _INNER
        other = place + length - (1 << level)
        first, last = self.outer[kind, begin // _INNER % _OUTER], self.outer[kind, (end - 1) // _INNER % _OUTER]
        short = end - begin <= _INNER
        low = np.where(short, np.minimum(first, last), self.outer_lowest[kind])
        high = np.where(short, np.maximum(first, last), self.outer_highest[kind])
        return (
            low * np.minimum(self.lowest[level, kind, place], self.lowest[level, kind, other]),
            high * np.maximum(self.highest[level, kind, place], self.highest[level, kind, other]),
        )


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
        """Executions since the history began, up to and with a moment [epoch microseconds], per statement.

        Args:
            at_us: one moment, or an array whose last axis is that of `statement`.
            statement: statement numbers; all of them where not given.
        """
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
        inner_sum=_running(inner),
        inner_square=_running(inner**2),
        outer=np.column_stack([outer, outer[:, :1]]),
        outer_sum=_running(outer),
        outer_square=_running(outer**2),
        lowest=_extremes(inner, np.minimum),
        highest=_extremes(inner, np.maximum),
        outer_lowest=outer.min(axis=1),
        outer_highest=outer.max(axis=1),
    )


def _mean_one(factors: Floats) -> Floats:
    return np.asarray(factors / factors.mean(axis=1, keepdims=True))


def _running(table: Floats) -> Floats:
    return np.column_stack([np.zeros(len(table)), np.cumsum(table, axis=1)])


def _extremes(inner: Floats, choose: np.ufunc) -> Floats:
    """Extremes of 1, 2, 4, ... 64 neighbours; the cycle is laid out twice, so that none of them wraps around."""
    levels = [np.hstack([inner, inner])]
    for level in range(_INNER.bit_length() - 1):
        before, reach = levels[-1], 1 << level
        shifted = np.hstack([before[:, reach:], np.repeat(before[:, -1:], reach, axis=1)])
        levels.append(np.asarray(choose(before, shifted)))
    return np.array(levels)


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
