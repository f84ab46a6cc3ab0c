"""What happens to single statements: regressions of many forms, and what only looks like one."""

from collections.abc import Callable

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline_tests.bench.worlds.clock import DAY, HOUR, WEEK, day_of, hour_of_day
from dbplanmon_pipeline_tests.bench.worlds.labels import Labels
from dbplanmon_pipeline_tests.bench.worlds.statement import Statement

Fault = Callable[[np.random.Generator, Statement, Labels], None]

_FACTORS = (1.5, 2.0, 3.0, 5.0, 20.0)
_SATURDAY = 5


def _onset(rng: np.random.Generator, ticks: int) -> int:
    return int(rng.integers(WEEK + DAY // 2, ticks - DAY))


def _span(rng: np.random.Generator, ticks: int) -> slice:
    begin = _onset(rng, ticks)
    end = ticks if rng.random() < 0.4 else min(ticks, begin + int(rng.integers(DAY // 2, 3 * DAY)))
    return slice(begin, end)


def _more_work(statement: Statement, span: slice | Floats, factor: float | Floats) -> None:
    """CPU, waits and reads of an execution grow alike."""
    statement.cpu_us[span] *= factor
    statement.wait_us[span] *= factor
    statement.reads[span] *= factor


def step(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """A new plan, more data, or blocking, from one moment on."""
    span, factor = _span(rng, len(statement.calls)), float(rng.choice(_FACTORS))
    cause = str(rng.choice(["plan", "plan", "data", "blocking"]))
    with labels.regression(statement, "step", cause):
        if cause == "blocking":
            statement.held_us[span] += (factor - 1) * (statement.cpu_us[span] + statement.wait_us[span])
        else:
            _more_work(statement, span, factor)
        if cause == "plan":
            former = int(statement.plan[span.start - 1])
            statement.new_plan(span.start)
            if span.stop < len(statement.calls):
                statement.new_plan(span.stop, number=former)


def ramp(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """Slower and slower for 6 to 48 hours, then as slow as it got."""
    ticks = len(statement.calls)
    begin, length = int(rng.integers(WEEK + DAY // 2, ticks - 2 * DAY)), int(rng.integers(6 * HOUR, 48 * HOUR))
    rise = np.clip((np.arange(ticks) - begin) / length, 0, 1)
    with labels.regression(statement, "ramp", "data"):
        _more_work(statement, slice(None), 1 + (float(rng.choice([2.0, 3.0, 5.0])) - 1) * rise)


def flips(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """A bad and the good plan by turns, 1 to 6 hours each."""
    ticks = len(statement.calls)
    begin, factor = int(rng.integers(WEEK + DAY // 2, ticks - DAY)), float(rng.choice([2.0, 3.0, 5.0, 20.0]))
    good, bad = int(statement.plan[begin - 1]), int(statement.plan.max()) + 1
    with labels.regression(statement, "flips", "plan"):
        at = begin
        while at < ticks:
            until = min(ticks, at + int(rng.integers(HOUR, 6 * HOUR)))
            _more_work(statement, slice(at, until), factor)
            statement.new_plan(at, until, bad)
            at = min(ticks, until + int(rng.integers(HOUR, 6 * HOUR)))
            statement.new_plan(until, at, good)


def office(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """Slow from 9 to 17 only, as far as it runs then."""
    ticks, hour = len(statement.calls), hour_of_day(len(statement.calls))
    begin = _onset(rng, ticks - 3 * DAY)
    at_work = (hour >= 9) & (hour < 17) & (day_of(ticks) % 7 < _SATURDAY) & (np.arange(ticks) >= begin)
    factor = float(rng.choice([2.0, 3.0, 5.0, 20.0]))
    with labels.regression(statement, "office", "data"):
        _more_work(statement, at_work, factor)


def tail(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """A few of all executions become very dear: the parameters that the plan was not made for."""
    span, share = _span(rng, len(statement.calls)), float(rng.choice([0.03, 0.1, 0.2]))
    with labels.regression(statement, "tail", "parameters"):
        statement.dear_share[span], statement.dear_factor[span] = share, 1 + rng.uniform(1.0, 4.0) / share


def other_plan(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """A part of the executions gets another, dearer plan beside the one that stays."""
    span = _span(rng, len(statement.calls))
    with labels.regression(statement, "other_plan", "plan"):
        statement.other_share[span] = np.maximum(statement.other_share[span], rng.uniform(0.2, 0.6))
        statement.other_factor[span] *= float(rng.choice([5.0, 10.0, 30.0]))


def spikes(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """One or two bad intervals, four times."""
    for _ in range(4):
        begin = _onset(rng, len(statement.calls))
        span = slice(begin, begin + int(rng.integers(1, 3)))
        _more_work(statement, span, float(rng.choice([3.0, 5.0, 10.0, 20.0])))
        labels.harmless(statement, "spike", (span.start, span.stop))


def harmless_plan(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """A new plan that costs about the same, or less."""
    begin = _onset(rng, len(statement.calls))
    statement.new_plan(begin)
    _more_work(statement, slice(begin, None), float(rng.uniform(0.7, 1.05)))
    labels.harmless(statement, "harmless_plan", (begin, begin + HOUR))


def harmless_flips(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """Two plans by turns from the first day on, one a little dearer: that is its normal."""
    at, ticks, factor = 0, len(statement.calls), float(rng.uniform(1.0, 1.6))
    while at < ticks:
        until = min(ticks, at + int(rng.integers(HOUR, 6 * HOUR)))
        statement.new_plan(at, until, 1)
        _more_work(statement, slice(at, until), factor)
        at = min(ticks, until + int(rng.integers(HOUR, 6 * HOUR)))
        statement.new_plan(until, at, 0)
    labels.harmless(statement, "harmless_flips", (0, ticks))


def two_plans(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """Two plans in every interval from the first day on, in changing parts."""
    ticks = len(statement.calls)
    statement.other_share[:] = np.clip(rng.uniform(0.2, 0.6) + rng.normal(0, 0.05, ticks), 0, 1)
    statement.other_factor[:] = float(rng.uniform(1.5, 8.0))
    labels.harmless(statement, "two_plans", (0, ticks))


def improvement(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """Faster for one or two days, then as before: no regression, as the week before was like that."""
    begin = _onset(rng, len(statement.calls) - 2 * DAY)
    end = begin + int(rng.integers(DAY, 2 * DAY))
    statement.new_plan(begin, end)
    _more_work(statement, slice(begin, end), float(rng.uniform(0.2, 0.6)))
    labels.harmless(statement, "improvement", (begin, len(statement.calls)))


def past_improvement(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """Faster for half a day to three of the first week: a week later the same days are as all others are."""
    length = int(rng.integers(DAY // 2, 3 * DAY))
    begin = int(rng.integers(DAY // 2, WEEK - length))
    _more_work(statement, slice(begin, begin + length), float(rng.uniform(0.1, 0.6)))
    labels.harmless(statement, "improvement", (begin, len(statement.calls)))


def growth(rng: np.random.Generator, statement: Statement, labels: Labels) -> None:
    """Runs more often from one moment on, at the same cost."""
    begin = _onset(rng, len(statement.calls))
    statement.calls[begin:] *= float(rng.choice([2.0, 4.0]))
    labels.harmless(statement, "growth", (begin, len(statement.calls)))
