"""Ordinary statements: how often they run, what they cost, and when."""

from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline_tests.bench.worlds.clock import DAY, day_of, hour_of_day, wander
from dbplanmon_pipeline_tests.bench.worlds.executions import gamma, lognormal, pareto, two_modes, weibull, zero_inflated
from dbplanmon_pipeline_tests.bench.worlds.statement import Statement

_SATURDAY = 5


@dataclass(frozen=True)
class Fleet:
    """How large a world is.

    Attributes:
        statements / ticks: numbers of them.
        instances: over which the statements are dealt out.
        databases: of each instance.
        calls: median of the executions per tick.
    """

    statements: int
    ticks: int
    instances: int = 3
    databases: int = 1
    calls: float = 10.0


def ordinary(rng: np.random.Generator, fleet: Fleet, families: tuple[str, ...] = ("lognormal",)) -> list[Statement]:
    """Statements that are well, busy by day; costs wander a little, and each instance sways as a whole."""
    number = fleet.statements
    load = _load(rng, fleet)
    sway = np.exp(
        wander(rng, fleet.instances, fleet.ticks, np.full(fleet.instances, 0.05), np.full(fleet.instances, 0.95))
    )
    costs = np.exp(wander(rng, number, fleet.ticks, rng.uniform(0.03, 0.12, number), rng.uniform(0.6, 0.95, number)))
    busy = np.exp(wander(rng, number, fleet.ticks, np.full(number, 0.15), np.full(number, 0.9)))
    found = []
    for at in range(number):
        instance = at % fleet.instances
        rate = float(np.clip(rng.lognormal(np.log(fleet.calls), 1.2), 0.3, 150.0))
        cpu_us = float(np.clip(rng.lognormal(np.log(20e3), 1.2), 300.0, 3e6))
        wait_us = cpu_us * rng.uniform(0.05, 1.5)
        statement = Statement(
            number=at + 1,
            instance=instance,
            database=at // fleet.instances % fleet.databases,
            family=families[int(rng.integers(len(families)))],
            calls=rate * load[instance] * busy[at],
            cpu_us=cpu_us * costs[at],
            wait_us=wait_us * costs[at] * sway[instance] ** rng.uniform(0.5, 1.3),
            reads=np.full(fleet.ticks, cpu_us / rng.uniform(5, 60)) * costs[at],
            plan=np.zeros(fleet.ticks, np.int64),
            feels=rng.uniform(0.4, 1.3),
        )
        _shaped(rng, statement)
        for begin in np.flatnonzero(rng.random(fleet.ticks) < 0.04 / DAY).tolist():
            statement.new_plan(begin)
        found.append(statement)
    return found


def _load(rng: np.random.Generator, fleet: Fleet) -> Floats:
    """Executions over their mean, of each instance [instances, ticks]."""
    hour, weekend = hour_of_day(fleet.ticks), day_of(fleet.ticks) % 7 >= _SATURDAY
    loads = []
    for _ in range(fleet.instances):
        away = (hour - rng.uniform(11, 16) + 12) % 24 - 12
        load = 0.25 + np.exp(-0.5 * (away / rng.uniform(3, 5)) ** 2)
        load *= np.where(weekend, rng.uniform(0.3, 0.9), 1.0)
        loads.append(load / load.mean())
    return np.array(loads)


def _shaped(rng: np.random.Generator, statement: Statement) -> None:
    """Give single executions the spread of the family."""
    if statement.family == "gamma":
        statement.shape = gamma(rng.uniform(0.3, 3.0))
    elif statement.family == "weibull":
        statement.shape = weibull(rng.uniform(0.5, 0.9))
    elif statement.family == "pareto":
        statement.shape = pareto(rng.uniform(1.5, 2.5))
    elif statement.family == "waits":
        statement.shape = lognormal(rng.uniform(0.2, 0.6))
        statement.wait_shape = zero_inflated(rng.uniform(0.02, 0.15))
        statement.wait_us = statement.wait_us * rng.uniform(0.5, 3.0)
    elif statement.family == "stalls":
        statement.shape = lognormal(rng.uniform(0.2, 0.6))
        statement.wait_shape = zero_inflated(float(np.exp(rng.uniform(np.log(0.001), np.log(0.5)))))
        statement.wait_us = statement.wait_us * np.exp(rng.uniform(np.log(0.3), np.log(6.0)))
    elif statement.family == "modes":
        statement.shape = two_modes(rng.uniform(0.02, 0.15), rng.uniform(8.0, 40.0))
    else:
        statement.shape = lognormal(rng.uniform(0.25, 1.2))
