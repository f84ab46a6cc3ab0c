"""Over random histories of a simulated server, what is recorded is what its source showed: to the last microsecond."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.core.readings.counters import EXECUTIONS, READS, WORKER
from dbplanmon_pipeline.core.readings.deltas import difference, retained
from dbplanmon_pipeline.errors import CannotConnect
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider, Source

BEGIN = datetime(2026, 11, 20, 22, tzinfo=UTC)
DATABASE = "sim0001"
STATEMENTS = 6
MEASURES = [EXECUTIONS, WORKER, READS]
BUDGET = Budget(1e9, lambda: 0.0)
SAFE = ("plan_regression", "harmless_plan_change", "slower_same_plan", "instance_slow", "quiet", "aborted_executions")
LOSING = ("crash", "query_store_off")


def minutes(count):
    return timedelta(minutes=count)


class Recorder:
    """A collection without a store: the state it would keep, and all that it would have written."""

    def __init__(self, provider):
        self.provider = provider
        self.state = None
        self.work = {}
        self.resets = 0

    def read(self):
        """Read and record; a server that is down is left alone."""
        try:
            with self.provider.open(DATABASE, BUDGET) as reader:
                reading = reader.read_counters(self.state)
        except CannotConnect:
            return
        delta = difference(self.state, reading)
        if not delta.accepted:
            return
        self.state = retained(reading)
        self.resets += delta.resets
        rows = delta.rows
        for query, plan, work in zip(
            rows.query_hash.tolist(), rows.plan_hash.tolist(), rows.values[:, MEASURES], strict=True
        ):
            self.work[query, plan] = self.work.get((query, plan), 0.0) + work


def recorded_and_recordable(case, source):
    """Both by (query_hash, plan_hash), as (executions, worker time, reads)."""
    provider, moments, now = case(source), [], [BEGIN]
    server = SimulatedProvider("fleet", 1, clock=lambda: now[0], statements=STATEMENTS, **provider.options)
    recorder = Recorder(server)
    for step in provider.steps:
        now[0] += step
        recorder.read()
        moments.append(now[0])
    found = {key: work.tolist() for key, work in recorder.work.items() if work[0]}
    wanted = server.recordable(DATABASE, moments)
    return found, {key: [w.executions, w.worker_us, w.reads_pages] for key, w in wanted.items() if w.executions}


class Case:
    """Options of a server, and the time between readings."""

    def __init__(self, options, steps):
        self.options = options
        self.steps = steps

    def __call__(self, source):
        return Case({**self.options, "source": source}, self.steps)

    def __repr__(self):
        return f"{self.options}, steps {self.steps}"


@st.composite
def faults(draw, kinds, interval, flush_s):
    """Up to four faults within a day; a late flush shows before its intervals are settled."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        kind = FaultKind(draw(st.sampled_from(kinds)))
        start = BEGIN + timedelta(seconds=draw(st.integers(0, 20 * 3600)))
        lasting = timedelta(seconds=draw(st.integers(1, 6 * 3600)))
        shows = None
        if kind is FaultKind.LATE_FLUSH:
            overlap = max(2 * flush_s, 60 * interval)
            lasting = timedelta(seconds=draw(st.integers(1, overlap)))
            shows = start + timedelta(seconds=draw(st.integers(int(lasting.total_seconds()), overlap)))
        momentary = kind in (FaultKind.EVICTION, FaultKind.RESTART, FaultKind.CRASH) and draw(st.booleans())
        if kind is FaultKind.EVICTION or momentary:
            lasting = None
        found.append(
            SimulatedFault(
                f"f{number}",
                DATABASE,
                draw(st.integers(0, STATEMENTS - 1)),
                kind,
                start,
                None if lasting is None else start + lasting,
                draw(st.sampled_from([0.9, 2.0, 3.3, 20.0])),
                shows,
            )
        )
    return tuple(found)


@st.composite
def cases(draw, kinds):
    interval = draw(st.sampled_from([1, 5, 10, 15, 30, 60]))
    flush_s = draw(st.sampled_from([60, 300, 900, 1800]))
    cadence = draw(st.sampled_from([1, 5, 7, 15, 30, 60]))
    irregular = st.sampled_from(
        [minutes(cadence), minutes(cadence), timedelta(seconds=13), timedelta(0), minutes(61), minutes(60 * 5)]
    )
    first = timedelta(seconds=draw(st.integers(0, 7200)))
    steps = [first, *draw(st.lists(irregular, min_size=3, max_size=30))]
    return Case(
        {
            "seed": draw(st.integers(0, 10_000)),
            "interval_minutes": interval,
            "flush_seconds": flush_s,
            "faults": draw(faults(kinds, interval, flush_s)),
        },
        steps,
    )


@given(cases((*SAFE, "late_flush", "eviction", "restart")))
@settings(max_examples=80, deadline=None)
def test_query_store_recorded_is_what_it_showed(case):
    found, wanted = recorded_and_recordable(case, Source.QUERY_STORE)
    assert found == wanted


@given(cases((*SAFE, "eviction", "restart", "crash")))
@settings(max_examples=50, deadline=None)
def test_plan_cache_recorded_is_what_could_be_seen(case):
    found, wanted = recorded_and_recordable(case, Source.PLAN_CACHE)
    assert found == wanted


@given(cases((*SAFE, *LOSING, "late_flush", "restart")))
@settings(max_examples=60, deadline=None)
def test_what_the_server_lost_is_never_made_up(case):
    provider, now = case(Source.QUERY_STORE), [BEGIN]
    server = SimulatedProvider("fleet", 1, clock=lambda: now[0], statements=STATEMENTS, **provider.options)
    recorder = Recorder(server)
    for step in provider.steps:
        now[0] += step
        recorder.read()
    truth = server.truth(DATABASE, BEGIN - timedelta(days=1), now[0])
    for key, work in recorder.work.items():
        assert work[0] <= truth[key].executions
        assert work[1] <= truth[key].worker_us
        assert work[2] <= truth[key].reads_pages


def test_every_kind_of_loss_is_seen_in_one_long_history():
    """The random histories may be kind; this one is not, and says what each fault must have done."""
    at = BEGIN + minutes(600)
    options = {
        "faults": (
            SimulatedFault("flip", DATABASE, 2, "plan_regression", at, at + minutes(95), 7.0),
            SimulatedFault(
                "late", DATABASE, 0, "late_flush", at + minutes(20), at + minutes(44), 1.0, at + minutes(55)
            ),
            SimulatedFault("again", DATABASE, 0, "restart", at + minutes(100)),
            SimulatedFault("emptied", DATABASE, 0, "eviction", at + minutes(133)),
        )
    }
    case = Case(options, [minutes(590), *[minutes(5)] * 40])
    found, wanted = recorded_and_recordable(case, Source.QUERY_STORE)
    assert found == wanted
    assert len(found) == STATEMENTS + 1
    whole = SimulatedProvider("fleet", 1, statements=STATEMENTS, **options)
    truth = whole.truth(DATABASE, BEGIN + minutes(545), BEGIN + minutes(790))
    missing = sum(truth[key].executions - found[key][0] for key in found)
    assert 0 < missing < 0.05 * sum(work.executions for work in truth.values())


@pytest.mark.parametrize("step", [1, 5, 13, 15, 60], ids=lambda step: f"{step}min")
def test_nothing_is_lost_at_any_cadence(step):
    """Without faults all work from the overlap before the first reading on is there."""
    case = Case({"seed": 4}, [minutes(0), *[minutes(step)] * (180 // step)])
    found, wanted = recorded_and_recordable(case, Source.QUERY_STORE)
    assert found == wanted
    server = SimulatedProvider("fleet", 1, statements=STATEMENTS, seed=4)
    just_before = BEGIN - minutes(30) - timedelta(microseconds=1)
    truth = server.truth(DATABASE, just_before, BEGIN + minutes(step) * (180 // step))
    np.testing.assert_array_equal(
        [found[key] for key in sorted(truth)],
        [[w.executions, w.worker_us, w.reads_pages] for _, w in sorted(truth.items())],
    )
