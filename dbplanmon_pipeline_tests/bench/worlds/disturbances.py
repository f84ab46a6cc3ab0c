"""What happens to many statements at once: slow hosts, slow disks, slow databases, batches."""

from collections.abc import Sequence

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline_tests.bench.worlds.clock import DAY, HOUR, WEEK, wander
from dbplanmon_pipeline_tests.bench.worlds.labels import Labels
from dbplanmon_pipeline_tests.bench.worlds.population import Fleet
from dbplanmon_pipeline_tests.bench.worlds.statement import Statement


def slow_hosts(
    rng: np.random.Generator, statements: Sequence[Statement], fleet: Fleet, labels: Labels, per_day: float = 0.25
) -> None:
    """A neighbour takes the host: all wait, and compute a little slower."""
    for instance in range(fleet.instances):
        for span, factor in _spans(rng, fleet, per_day, (1.4, 4.0)):
            for one in _of(statements, instance):
                one.held_us[span] += (factor**one.feels - 1) * (one.cpu_us[span] + one.wait_us[span])
                one.cpu_us[span] *= factor**0.2
            labels.wide("slow_host", instance, (span.start, span.stop), factor)


def slow_databases(
    rng: np.random.Generator, statements: Sequence[Statement], fleet: Fleet, labels: Labels, per_day: float = 0.2
) -> None:
    """One database of an instance waits, for its log or its locks."""
    for instance in range(fleet.instances):
        for database in range(fleet.databases):
            for span, factor in _spans(rng, fleet, per_day, (1.5, 4.0)):
                for one in _of(statements, instance):
                    if one.database == database:
                        one.held_us[span] += (factor**one.feels - 1) * (one.cpu_us[span] + one.wait_us[span])
                labels.wide("slow_database", instance, (span.start, span.stop), factor, database)


def slow_disks(
    rng: np.random.Generator, statements: Sequence[Statement], fleet: Fleet, labels: Labels, per_day: float = 0.25
) -> None:
    """The disk of an instance is slow: what waits for it waits longer, what does not feels nothing."""
    for instance in range(fleet.instances):
        for span, factor in _spans(rng, fleet, per_day, (2.0, 5.0)):
            for one in _of(statements, instance):
                one.wait_us[span] *= factor
            labels.wide("slow_disk", instance, (span.start, span.stop), factor)


def nightly_batches(rng: np.random.Generator, statements: Sequence[Statement], fleet: Fleet) -> None:
    """A third of the statements run in the batch of the night only, which starts at about the same time and slows all.

    That is what every night is like, so nothing of it is labelled.
    """
    ticks = fleet.ticks
    for instance in range(fleet.instances):
        start, length, factor = int(rng.integers(0, 4 * HOUR)), int(rng.integers(HOUR, 4 * HOUR)), rng.uniform(1.2, 2.0)
        inside = np.zeros(ticks, np.bool_)
        for day in range(ticks // DAY):
            begin = max(0, day * DAY + start + int(rng.integers(-HOUR // 2, HOUR // 2 + 1)))
            inside[begin : begin + length + int(rng.integers(-3, 4))] = True
        for number, one in enumerate(_of(statements, instance)):
            one.held_us[inside] += (factor**one.feels - 1) * (one.cpu_us + one.wait_us)[inside]
            if number % 3 == 0:
                one.calls *= np.where(inside, 6.0, 0.0)
                one.family = "batch"


def weekday_levels(rng: np.random.Generator, statements: Sequence[Statement], fleet: Fleet) -> None:
    """Each weekday has a level of its own for every statement, the same in each week."""
    day = np.arange(fleet.ticks) // DAY % 7
    for one in statements:
        level = np.exp(rng.normal(0, 0.3, 7))[day]
        one.cpu_us *= level
        one.wait_us *= level
        one.reads *= level


def restless_levels(rng: np.random.Generator, statements: Sequence[Statement], fleet: Fleet) -> None:
    """Costs that remember what they were hours ago, levels that drift by a tenth, days that differ by weekday."""
    number, ticks = len(statements), np.arange(fleet.ticks)
    memory = 1 - np.exp(rng.uniform(np.log(1 / 150), np.log(1 / 5), number))
    costs = wander(rng, number, fleet.ticks, rng.uniform(0.03, 0.2, number), memory)
    for one, cost in zip(statements, costs, strict=True):
        drift = np.log(rng.uniform(1.0, 1.1)) * np.sin(
            ticks * 2 * np.pi / (rng.uniform(2, 12) * DAY) + rng.uniform(0, 6)
        )
        level = np.exp(cost + drift + rng.uniform(0, 0.25) * _week_of(rng)[ticks % WEEK])
        one.cpu_us *= level
        one.wait_us *= level
        one.reads *= level


def _week_of(rng: np.random.Generator) -> Floats:
    """The shape of a day, another one for each weekday, about 0 and seldom beyond 1 [ticks of a week]."""
    hour = np.arange(DAY) * 2 * np.pi / DAY
    waves = [np.cos(times * hour + shift) for times, shift in enumerate(rng.uniform(0, 2 * np.pi, 3), 1)]
    shape: Floats = (rng.normal(0, 0.5, (7, 3)) @ np.array(waves)).ravel()
    return shape


def _of(statements: Sequence[Statement], instance: int) -> list[Statement]:
    return [one for one in statements if one.instance == instance]


def _spans(
    rng: np.random.Generator, fleet: Fleet, per_day: float, factors: tuple[float, float]
) -> list[tuple[slice, float]]:
    """Spans of 20 minutes to 4 hours, in the week that is learnt from as well as later."""
    number = max(2, round(per_day * fleet.ticks / DAY))
    begins = rng.integers(HOUR, fleet.ticks - DAY // 2, number)
    begins[0] = rng.integers(WEEK + HOUR, fleet.ticks - DAY // 2)
    return [
        (slice(begin, begin + int(rng.integers(4, 4 * HOUR))), float(rng.uniform(*factors)))
        for begin in begins.tolist()
    ]
