"""A statement of a world, tick by tick, and the rows that a collector sees of it."""

from dataclasses import dataclass, field

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.intervals import KEY_COLUMNS
from dbplanmon_pipeline_tests.bench.worlds.clock import EPOCH, STEP_US
from dbplanmon_pipeline_tests.bench.worlds.executions import Shape, lognormal, zero_inflated

_HELD = lognormal(0.6)
_PLANS = 1000
_OTHER = 500
_MOST_AT_ONCE = 4_000_000


@dataclass
class Statement:
    """One statement; worlds alter its lines before its executions are drawn.

    Attributes:
        number: from 1; also the query hash.
        instance / database: where it runs; a database number counts within its instance.
        family: what kind of costs it has.
        calls: float64 [ticks], executions to be expected.
        cpu_us / wait_us: float64 [ticks], mean CPU and waiting time of an execution [microseconds].
        held_us: float64 [ticks], mean time for which every execution is held up by what goes on around it.
        reads: float64 [ticks], pages per execution.
        plan: int64 [ticks], number of its plan, below 500.
        other_share / other_factor: float64 [ticks], share of the executions that run with another plan at the same
            time, and what those cost more.
        dear_share / dear_factor: float64 [ticks], share of the executions that are dear, and how much.
        shape / wait_shape: single executions as multiples of the mean.
        feels: what it feels of the disturbances of its instance.
    """

    number: int
    instance: int
    database: int
    family: str
    calls: Floats
    cpu_us: Floats
    wait_us: Floats
    reads: Floats
    plan: Longs
    held_us: Floats = field(init=False)
    other_share: Floats = field(init=False)
    other_factor: Floats = field(init=False)
    dear_share: Floats = field(init=False)
    dear_factor: Floats = field(init=False)
    shape: Shape = field(default_factory=lambda: lognormal(0.5))
    wait_shape: Shape = field(default_factory=lambda: zero_inflated(0.5))
    feels: float = 1.0

    def __post_init__(self) -> None:
        self.held_us = np.zeros(len(self.calls))
        self.other_share, self.dear_share = np.zeros(len(self.calls)), np.zeros(len(self.calls))
        self.other_factor, self.dear_factor = np.ones(len(self.calls)), np.ones(len(self.calls))

    def mean_us(self) -> tuple[Floats, Floats]:
        """Mean elapsed and CPU time of an execution [ticks, microseconds]."""
        more = 1 + self.other_share * (self.other_factor - 1)
        cpu = self.cpu_us * more * (1 + self.dear_share * (self.dear_factor - 1))
        return cpu + self.wait_us * more + self.held_us, cpu

    def new_plan(self, since: int, until: int | None = None, number: int | None = None) -> None:
        """Another plan over some ticks; a number not used before unless it is given."""
        self.plan[since:until] = int(self.plan.max()) + 1 if number is None else number


def rows_of(statement: Statement, lands: Longs, since: Longs, rng: np.random.Generator) -> dict[str, Floats | Longs]:
    """Interval rows of a statement, in order of (end, plan); names as in `DETECTOR_COLUMNS`.

    Args:
        statement: it.
        lands: int64 [ticks], the tick at whose end what ran is seen; -1 where a restart lost it.
        since: int64 [ticks], first tick of the interval that ends with each.
        rng: source of chance.
    """
    number = rng.poisson(statement.calls) * (lands >= 0)
    tick = np.repeat(np.arange(len(number)), number)
    if len(tick) > _MOST_AT_ONCE:
        raise ValueError(f"statement {statement.number} has {len(tick):,} executions; give it fewer calls")
    other = rng.random(len(tick)) < statement.other_share[tick]
    more = np.where(other, statement.other_factor[tick], 1.0)
    dear = np.where(rng.random(len(tick)) < statement.dear_share[tick], statement.dear_factor[tick], 1.0)
    cpu = statement.cpu_us[tick] * statement.shape(rng, len(tick)) * more * dear
    elapsed = cpu + statement.wait_us[tick] * statement.wait_shape(rng, len(tick)) * more
    elapsed += statement.held_us[tick] * _HELD(rng, len(tick))
    plan = statement.plan[tick] + _OTHER * other
    order = np.lexsort((plan, lands[tick])) if other.any() or (np.diff(lands) == 0).any() else slice(None)
    end, plan, cpu, elapsed = lands[tick][order], plan[order], cpu[order], elapsed[order]
    reads = statement.reads[tick][order]
    new = np.ones(len(end), np.bool_)
    new[1:] = (end[1:] != end[:-1]) | (plan[1:] != plan[:-1])
    first = np.flatnonzero(new)
    count = np.diff(np.append(first, len(end)))
    end = end[first]
    keys = (statement.number, statement.number * _PLANS + plan[first], since[end], end + 1)
    began = epoch_us(EPOCH)
    found: dict[str, Floats | Longs] = {
        KEY_COLUMNS[1]: np.full(len(first), keys[0], np.int64),
        KEY_COLUMNS[2]: keys[1],
        KEY_COLUMNS[3]: began + keys[2] * STEP_US,
        KEY_COLUMNS[4]: began + keys[3] * STEP_US,
        "execution_count": count.astype(np.float64),
        "logical_reads_pages": _sums(reads, first),
    }
    for name, values in (("elapsed_time_us", elapsed), ("worker_time_us", cpu)):
        found[name] = _sums(values, first)
        found[f"{name}_sumsq"] = _sums(values * values, first)
        found[f"{name}_max"] = np.maximum.reduceat(values, first) if len(first) else np.empty(0)
    return found


def _sums(values: Floats, first: Longs) -> Floats:
    return np.add.reduceat(values, first) if len(first) else np.empty(0)
