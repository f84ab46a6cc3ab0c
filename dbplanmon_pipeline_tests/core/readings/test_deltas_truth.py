"""A little world with known work: what is recorded is what could be seen, never more."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.core.readings.deltas import difference
from dbplanmon_pipeline_tests.core.readings.small_readings import at, column, counter, reading

MEASURES = ("execution_count", "elapsed_time_us", "logical_reads_pages")


@dataclass
class World:
    """A server with statements, the monitor beside it, and the truth about both.

    `seen` is work in lives that still stood at a reading after it was done; `done` is all work after the first reading.
    """

    names_lives: bool
    clock: float = 0.0
    lives: int = 0
    counters: dict = field(default_factory=dict)
    unread: dict = field(default_factory=dict)
    state: object = None
    recorded: np.ndarray = field(default_factory=lambda: np.zeros(3))
    seen: np.ndarray = field(default_factory=lambda: np.zeros(3))
    done: np.ndarray = field(default_factory=lambda: np.zeros(3))
    intervals: list = field(default_factory=list)

    def work(self, statement, executions, elapsed, pages):
        amount = np.array([executions, executions * elapsed, executions * pages], float)
        if statement not in self.counters:
            self.lives += 1
            self.counters[statement] = [self.lives, np.zeros(3), self.clock]
        self.counters[statement][1] = self.counters[statement][1] + amount
        self.unread[statement] = self.unread.get(statement, 0) + amount
        if self.state is not None:
            self.done += amount

    def forget(self, statement):
        self.counters.pop(statement, None)
        self.unread.pop(statement, None)

    def restart(self):
        self.counters.clear()
        self.unread.clear()

    def _reading(self):
        entries = [
            counter(
                f"k{statement}",
                query=statement + 1,
                life=str(life) if self.names_lives else "",
                **({"began": at(began)} if self.names_lives else {}),
                **dict(zip(MEASURES, totals.tolist(), strict=True)),
            )
            for statement, (life, totals, began) in self.counters.items()
        ]
        return reading(at(self.clock), *entries)

    def read(self, attempts):
        """Read and record; a run that is tried again starts from the same state and only the last one is stored."""
        for _ in range(attempts):
            present = self._reading()
            delta = difference(self.state, present)
        if delta.accepted:
            if self.state is not None:
                self.seen += sum(self.unread.values(), np.zeros(3))
            self.recorded += [np.nansum(column(delta.rows, name)) for name in MEASURES]
            self.intervals.append(delta.rows)
            self.unread.clear()
            self.state = present


WORK = st.tuples(st.just("work"), st.integers(0, 2), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
FORGET = st.tuples(st.just("forget"), st.integers(0, 2))
WAITED_READ = st.tuples(st.just("read_after"), st.sampled_from([0, 0.5, 5, 120, -2]), st.integers(1, 3))
STEPS = st.lists(
    st.one_of(WORK, WORK, WAITED_READ, WAITED_READ, FORGET, st.tuples(st.just("restart"))), min_size=8, max_size=60
)


def lived(names_lives, steps, *, clock_goes_back):
    world = World(names_lives)
    for kind, *arguments in steps:
        if kind == "read_after":
            minutes, attempts = arguments
            world.clock += minutes if clock_goes_back else abs(minutes)
            world.read(attempts)
        else:
            getattr(world, kind)(*arguments)
    return world


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_where_lives_have_names_all_that_could_be_seen_is_recorded(steps):
    world = lived(True, steps, clock_goes_back=False)
    np.testing.assert_array_equal(world.recorded, world.seen)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_where_lives_have_no_names_never_more_than_the_truth_is_recorded(steps):
    world = lived(False, steps, clock_goes_back=True)
    assert (world.recorded <= world.done).all()


@given(STEPS)
@settings(max_examples=50, deadline=None)
def test_a_clock_that_goes_back_never_makes_work_count_twice(steps):
    world = lived(True, steps, clock_goes_back=True)
    assert (world.recorded <= world.done).all()


@given(STEPS)
@settings(max_examples=50, deadline=None)
def test_recorded_intervals_of_a_statement_never_overlap(steps):
    world = lived(True, steps, clock_goes_back=True)
    ends = {}
    for found in world.intervals:
        for query, begin, end in zip(
            found.query_hash.tolist(), found.interval_start_us.tolist(), found.interval_end_us.tolist(), strict=True
        ):
            assert ends.get(query, begin) <= begin < end
            ends[query] = end


HOURLY = st.lists(
    st.tuples(st.sampled_from([1, 7, 20, 45, 61]), st.integers(0, 1), st.integers(1, 5), st.booleans()), max_size=40
)


@given(HOURLY)
@settings(max_examples=60, deadline=None)
def test_counters_kept_per_hour_are_recorded_once_and_within_their_hour(steps):
    clock, state, counters, done, recorded = 0, reading(at(0)), {}, 0, 0
    for minutes, plan, executions, reads in steps:
        clock += minutes
        key = (plan, (clock - 1) // 60)
        counters[key] = counters.get(key, 0) + executions
        done += executions
        if reads:
            entries = [
                counter(f"{plan}:{hour}", plan=plan, start=at(60 * hour), end=at(60 * hour + 60), execution_count=total)
                for (plan, hour), total in counters.items()
            ]
            present = reading(at(clock), *entries)
            found = difference(state, present).rows
            hours = (found.interval_start_us // 3_600_000_000, (found.interval_end_us - 1) // 3_600_000_000)
            np.testing.assert_array_equal(*hours)
            assert (found.interval_start_us < found.interval_end_us).all()
            recorded += sum(column(found, "execution_count"))
            state = present
            assert recorded == done
