"""Shards of a collection end at moments of their own, and some come late: each instance is judged at its moments."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from dbplanmon_pipeline.core.arrivals import JudgedUntil
from dbplanmon_pipeline.core.verdict.model import Evaluation
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.analyse import AnalysisReport, analyse
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Fleet
from dbplanmon_pipeline_tests.services.stories import DETECTOR, policy

SECOND = timedelta(seconds=1)


@dataclass
class Witness:
    """A detector that notes which instances it judged, and as of when."""

    inner: StatisticalDetector = DETECTOR
    seen: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def layout(self) -> int:
        return self.inner.layout

    def evaluate(self, frame, baselines, as_of) -> Evaluation:
        names = {ref.instance for ref in frame.databases.values()}
        self.seen += [(as_of, name) for name in sorted(names)]
        return self.inner.evaluate(frame, baselines, as_of)


class Shards:
    """Three instances, each read by itself."""

    def __init__(self, store, clock) -> None:
        providers = [
            SimulatedProvider(name, 1, clock=clock, statements=8, seed=3, source="plan_cache") for name in "abc"
        ]
        self.fleet = Fleet(store, clock, *providers)
        self.clock = clock
        self.witness = Witness()
        self.fleet.collect()
        self.fleet.tick()
        self.analyse()

    def read(self, names: str, at: timedelta) -> datetime:
        """Read these instances at so long after START."""
        self.clock.advance(START + at - self.clock())
        return self.fleet.collect([ref for ref in self.fleet.refs if ref.instance in names]).tick

    def analyse(self) -> AnalysisReport:
        self.witness.seen.clear()
        return analyse(self.fleet.store, self.witness, policy=policy())


@pytest.fixture
def shards(store, clock):
    return Shards(store, clock)


def test_instances_that_share_a_moment_are_judged_together(shards):
    tick = shards.read("abc", 2 * STEP)
    assert shards.analyse().ticks == 1
    assert shards.witness.seen == [(tick, "a"), (tick, "b"), (tick, "c")]


def test_each_instance_is_judged_at_its_own_moments_only(shards):
    first = shards.read("ab", 2 * STEP)
    second = shards.read("c", 2 * STEP + SECOND)
    assert shards.analyse().ticks == 1
    assert sorted(shards.witness.seen) == [(first, "a"), (first, "b"), (second, "c")]


def test_what_comes_after_a_later_moment_was_judged_is_judged_all_the_same(shards):
    ahead = shards.read("ab", 2 * STEP + 3 * SECOND)
    shards.analyse()
    assert (ahead, "a") in shards.witness.seen
    late = shards.read("c", 2 * STEP)
    shards.analyse()
    assert (late, "c") in shards.witness.seen
    assert (late, "a") not in shards.witness.seen


def test_what_was_judged_is_not_judged_at_an_older_moment_again(shards):
    shards.read("ab", 2 * STEP)
    shards.analyse()
    tick = shards.read("abc", 3 * STEP)
    shards.analyse()
    assert shards.witness.seen == [(tick, "a"), (tick, "b"), (tick, "c")]


def test_memory_is_read_back_as_it_was_written():
    before = JudgedUntil(START, {"a": START - STEP, "b": START - 3 * STEP})
    after = JudgedUntil.read(START.isoformat(), before.behind_text(), START - 2 * STEP)
    assert after == JudgedUntil(START, {"a": START - STEP})
    assert JudgedUntil.read("", "", START) == JudgedUntil(START)
