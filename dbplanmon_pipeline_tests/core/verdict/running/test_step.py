"""What is said tick by tick is what the whole lookback says, and no finding is lost on the way."""

from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy, ScaleRule
from dbplanmon_pipeline.core.verdict.rules.scales import LATEST, RECENT
from dbplanmon_pipeline.core.verdict.running.arrays import from_arrays, to_arrays
from dbplanmon_pipeline.core.verdict.running.step import Advance, begin
from dbplanmon_pipeline.core.verdict.running.sums import NEWEST
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.core.verdict.verdicts import said
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

LEARNT, LAST = 47, 88
POLICY = DetectorPolicy(lookback_intervals=72)
LENIENT = replace(
    POLICY,
    scales=tuple(ScaleRule(scale.intervals, 0.5, 1.02) for scale in POLICY.scales),
    plan_score=0.5,
    plan_ratio=1.02,
    highest_margin=0.0,
    chance=1.0,
    plan_chance=1.0,
    ended_odds=np.inf,
    uncorroborated_effect=1.0,
    min_extra_seconds_per_hour=0.0,
)
"""Every rule is at its border now and then; the usual one lets fire only what is far beyond."""


@dataclass
class Asked:
    """Reads the rows of a frame again, and counts the statements."""

    frame: IntervalFrame
    until_us: int = 0
    statements: int = 0

    def of_databases(self, database_ids):
        ends = self.frame.rows["interval_end_us"]
        young = (ends > self.until_us - POLICY.step_us) & (ends <= self.until_us)
        return part(self.frame, young & self.frame.rows["database_id"].isin(database_ids))

    def of_statements(self, statements):
        self.statements += len(statements)
        rows = self.frame.rows
        keys = set(statements)
        wanted = np.array([key in keys for key in zip(rows["database_id"], rows["query_hash"], strict=True)])
        return part(self.frame, (rows["interval_end_us"] <= self.until_us) & wanted)


def part(frame, chosen):
    rows = frame.rows[chosen].reset_index(drop=True)
    return IntervalFrame(rows, {number: frame.databases[number] for number in np.unique(rows["database_id"]).tolist()})


def between(frame, first, last):
    ends = frame.rows["interval_end_us"]
    return part(frame, (ends > epoch_us(first)) & (ends <= epoch_us(last)))


def troubled(seed):
    """A day of calm, then whatever a seed brings: broken and new plans, slow ticks, rests, rare statements."""
    rng = np.random.default_rng(seed)
    workload = Workload(
        24, LAST, calls=rng.integers(3, 60, 24), noise=float(rng.uniform(0.05, 0.4)), seed=seed, calm_before=1
    )
    for statement in rng.choice(24, 8, replace=False).tolist():
        begun, length = int(rng.integers(LEARNT, LAST - 5)), int(rng.integers(1, 60))
        workload.slow_down(statement, slice(begun, begun + length), float(rng.uniform(1.15, 6)))
        if rng.random() < 0.5:
            workload.plan[statement, begun : begun + length] = 9000 + statement
    for statement in rng.choice(24, 3, replace=False).tolist():
        workload.plan[statement, :] = rng.choice([0, 5, 6], LAST)
    slow = int(rng.integers(LEARNT, LAST - 9))
    workload.cost[:, slow : slow + 3] *= rng.uniform(0.5, 2.0)
    workload.calls[rng.random(workload.calls.shape) < rng.uniform(0, 0.3)] = 0
    workload.calls[rng.integers(24), LEARNT:] *= rng.random(LAST - LEARNT) < 0.3
    workload.calls[1::3, LEARNT:] *= rng.random(LAST - LEARNT) < 0.8
    for statement in rng.choice(24, 5, replace=False).tolist():
        begun, length = int(rng.integers(LEARNT, LAST - 9)), int(rng.integers(2, 20))
        workload.fail(statement, slice(begun, begun + length), rng.choice([0.1, 0.6, 1.0]), 8000 + statement)
    outage = int(rng.integers(LEARNT, LAST - 9))
    workload.fail(slice(None), slice(outage, outage + 3), 0.3)
    workload.fail(3, slice(None), 0.2)
    return workload.on_postgres() if seed % 3 == 0 else workload


def in_parts(seed):
    """The same, and some statements wait for most of their time: all of these, or one database, are slow at times."""
    workload, rng = troubled(seed), np.random.default_rng(seed)
    waiting = rng.choice(24, 10, replace=False)
    workload.worker = 0.9 * workload.cost
    workload.worker[waiting] *= 0.5
    for statement in rng.choice(24, 6, replace=False).tolist():
        begun = int(rng.integers(LEARNT, LAST - 20))
        workload.one_dear(statement, begun + np.flatnonzero(rng.random(20) < 0.6), 60)
    for several in (waiting, np.arange(1, 24, 3)):
        first = rng.integers(LEARNT, LAST - 6, 3).tolist()
        for begun, factor in zip(first, (1.15, 1.25, 1.8), strict=True):
            workload.cost[np.ix_(several, range(begun, begun + 4))] *= factor
    return workload


def fleet(workload, seed):
    """Two instances, one of them with two databases; the moments stray by seconds. Returns the moments of ticks too."""
    frame = workload.frame(3)
    refs = {0: DatabaseRef("shop", "a"), 1: DatabaseRef("shop", "b"), 2: DatabaseRef("depot", "a")}
    rows = frame.rows.copy()
    step_us = POLICY.step_us
    tick = (rows["interval_end_us"].to_numpy() - epoch_us(workload.moment(0))) // step_us
    strays = np.random.default_rng(seed).integers(-20_000_000, 20_000_000, int(tick.max() - tick.min()) + 2)
    rows["interval_start_us"] += strays[tick - tick.min()]
    rows["interval_end_us"] += strays[tick - tick.min() + 1]
    moments = {
        number: workload.moment(number) + timedelta(microseconds=int(strays[number - tick.min() + 1]))
        for number in range(LAST)
    }
    return IntervalFrame(rows, refs), moments


def walk(frame, baselines, ticks, policy=POLICY):
    """Each tick by the state where there is one, and by the lookback; yields both, and the statements read again."""
    detector, state, before = StatisticalDetector(policy), None, None
    for tick in ticks:
        whole = detector.evaluate(frame, baselines, tick)
        asked, step = Asked(frame, epoch_us(tick)), None
        if state is not None:
            step = Advance(state, baselines, policy).to(between(frame, before, tick), tick, asked)
        yield whole, step, asked.statements
        if step is None:
            state = begin(between(frame, tick - policy.lookback, tick), baselines, tick, policy)
        before = tick


@pytest.mark.parametrize(
    ("made", "seed", "policy"),
    [(troubled, 1, POLICY), (troubled, 2, LENIENT), (in_parts, 7, POLICY), (in_parts, 8, LENIENT)],
)
def test_each_tick_says_what_the_lookback_says(made, seed, policy):
    frame, moments = fleet(made(seed), seed)
    baselines = StatisticalDetector(policy).learn(frame, moments[LEARNT])
    stepped = found = asked = judged = failing = 0
    for whole, step, again in walk(frame, baselines, [moments[tick] for tick in range(LEARNT + 1, LAST)], policy):
        found, judged = found + len(whole.verdicts), judged + whole.judged
        if step is not None:
            stepped, asked = stepped + 1, asked + again
            failing += sum(verdict.failures is not None for verdict in whole.verdicts)
            assert said(step.evaluation) == said(whole)
    assert found > 10
    assert failing > 5
    assert stepped > (LAST - LEARNT) // 2
    assert asked < max(judged // 4, 5 * found // 2)


def test_what_is_kept_reaches_as_far_back_as_the_rule_asks():
    assert max(RECENT, LATEST) <= NEWEST


def test_a_slow_instance_is_judged_by_all_its_rows():
    workload = Workload(16, LAST, noise=0.1, calm_before=1)
    workload.cost[:, 60:64] *= 2
    frame = workload.frame()
    baselines = StatisticalDetector(POLICY).learn(frame, workload.moment(LEARNT))
    found = list(walk(frame, baselines, [workload.moment(tick) for tick in range(56, 70)]))
    slow = [bool(whole.instance_verdicts) for whole, _, _ in found]
    assert any(slow)
    assert not any(was_slow and step for was_slow, (_, step, _) in zip(slow, found, strict=True))
    assert found[-1][1] is not None


def test_what_is_held_up_and_what_shares_a_database_is_taken_out_tick_by_tick():
    frame, moments = fleet(in_parts(7), 7)
    baselines = StatisticalDetector(POLICY).learn(frame, moments[LEARNT])
    kept = begin(between(frame, moments[80] - POLICY.lookback, moments[80]), baselines, moments[80], POLICY)
    assert kept.several
    assert kept.past.held_up.log_ratio["elapsed_per_worker"].max() > 0.1
    assert np.abs(kept.past.databases.log_ratio["elapsed_time_us"]).max() > 0.1


@pytest.mark.parametrize("part", ["database", "waiting"])
def test_a_slow_part_of_an_instance_is_judged_by_all_its_rows(part):
    workload = Workload(20, LAST, noise=0.05, calm_before=1)
    workload.worker = np.where(np.arange(20)[:, None] % 3 == 0, 0.4 if part == "waiting" else 0.9, 0.9) * workload.cost
    workload.cost[::3, 60:66] *= 2
    frame = workload.frame(3 if part == "database" else 1)
    baselines = StatisticalDetector(POLICY).learn(frame, workload.moment(LEARNT))
    found = list(walk(frame, baselines, [workload.moment(tick) for tick in range(56, 74)]))
    slow = [bool(whole.instance_verdicts) for whole, _, _ in found]
    named = {verdict.database for whole, _, _ in found for verdict in whole.instance_verdicts}
    assert named == {"db0" if part == "database" else ""}
    assert not any(was_slow and step for was_slow, (_, step, _) in zip(slow, found, strict=True))
    assert found[-1][1] is not None


def two_ends(frame, moments, seed):
    """Every fourth tick the statements of one instance have two rows, as at the end of an interval of the engine."""
    rng = np.random.default_rng(seed)
    rows, shared = frame.rows, [epoch_us(moment) for tick, moment in moments.items() if tick % 4 == 0]
    split = rows["interval_end_us"].isin(shared) & rows["database_id"].lt(2)
    earlier = rows[split].assign(interval_end_us=rows["interval_end_us"] - 2_000_000)
    later = rows[split & (rng.random(len(rows)) < 0.6)]
    later = later.assign(interval_start_us=later["interval_end_us"] - 2_000_000, execution_count=2.0)
    for name in ("elapsed_time_us", "worker_time_us"):
        cost = rows[name] / rows["execution_count"]
        later[name] = 2 * cost
        later[f"{name}_max"], later[f"{name}_sumsq"] = cost, 2 * cost**2
    order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
    rows = pd.concat([rows[~split], earlier, later]).sort_values(order, ignore_index=True)
    ends = sorted({*moments.values(), *(from_epoch_us(end - 2_000_000) for end in shared)})
    return IntervalFrame(rows, frame.databases), [end for end in ends if end > moments[LEARNT]]


def test_two_ends_of_one_tick_are_judged_as_the_lookback_judges_them():
    frame, moments = fleet(troubled(5), 5)
    baselines = StatisticalDetector(POLICY).learn(frame, moments[LEARNT])
    frame, ends = two_ends(frame, moments, 5)
    state, before, found, stepped = None, None, 0, 0
    for number, end in enumerate(ends):
        whole = StatisticalDetector(POLICY).evaluate(frame, baselines, end)
        found += len(whole.verdicts)
        step = None
        if state is not None:
            # The second end begins where the first did.
            kept = from_arrays(to_arrays(deepcopy(state)))
            step = Advance(kept, baselines, POLICY).to(between(frame, before, end), end, Asked(frame, epoch_us(end)))
        if step is not None:
            stepped += 1
            assert said(step.evaluation) == said(whole)
        if number + 1 == len(ends) or ends[number + 1] - end > POLICY.step / 2:
            state = kept if step else begin(between(frame, end - POLICY.lookback, end), baselines, end, POLICY)
            before = end
    assert found > 10
    assert stepped > len(ends) // 2


def test_a_database_that_is_new_is_not_stepped_over():
    workload = Workload(12, LAST, calm_before=1)
    frame = workload.frame(2)
    baselines = StatisticalDetector(POLICY).learn(frame, workload.moment(LEARNT))
    before, now = workload.moment(60), workload.moment(61)
    old = between(frame, before - POLICY.lookback, before)
    state = begin(part(old, old.rows["database_id"].eq(0)), baselines, before, POLICY)
    asked = Asked(frame, epoch_us(now))
    assert Advance(state, baselines, POLICY).to(between(frame, before, now), now, asked) is None


def test_a_state_survives_its_file():
    workload = Workload(12, LAST, calm_before=1)
    workload.slow_down(4, slice(55, None), 4)
    workload.plan[4, 61:] = 77
    frame = workload.frame(2)
    baselines = StatisticalDetector(POLICY).learn(frame, workload.moment(LEARNT))
    before, now = workload.moment(60), workload.moment(61)
    state = begin(between(frame, before - POLICY.lookback, before), baselines, before, POLICY)
    again = from_arrays({name: np.array(values) for name, values in to_arrays(state).items()})
    fresh, asked = between(frame, before, now), Asked(frame, epoch_us(now))
    one, other = (Advance(kept, baselines, POLICY).to(fresh, now, asked) for kept in (state, again))
    assert said(one.evaluation) == said(other.evaluation)
    assert one.changed == other.changed == ((0, 5),)
    assert [verdict.query_hash for verdict in one.evaluation.verdicts] == [5]
