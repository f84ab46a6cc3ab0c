"""Several moments judged in one go are judged as each would be by itself."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.normal import history
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rules import findings
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.services.backtest import BacktestPolicy, backtest
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

LEARNT, FIRST, LAST = 47, 48, 110
POLICY = DetectorPolicy(lookback_intervals=72)


def troubled(seed):
    """A day of calm, then broken plans, a slow instance, rests and a change of plan out of sight of early moments."""
    rng = np.random.default_rng(seed)
    workload = Workload(20, LAST, noise=0.2, seed=seed, calm_before=1)
    workload.slow_down(3, slice(50, 90), 6)
    workload.slow_down(4, slice(60, None), 3)
    workload.plan[4, 60:] = 77
    workload.cost[:, 70:82] *= 2.2
    workload.calls[rng.random(workload.calls.shape) < 0.2] = 0
    return workload


@pytest.mark.parametrize("seed", range(3))
def test_a_span_says_what_its_moments_say(seed):
    workload, detector = troubled(seed), StatisticalDetector(POLICY)
    frame = workload.frame(2)
    baselines = detector.learn(frame, workload.moment(LEARNT))
    ticks = [workload.moment(tick) for tick in range(FIRST, LAST)]
    together = list(detector.evaluate_span(frame, baselines, ticks))
    alone = [detector.evaluate(frame, baselines, tick) for tick in ticks]
    assert sum(len(evaluation.verdicts) for evaluation in alone) > 40
    assert any(evaluation.instance_verdicts for evaluation in alone)
    for one, other in zip(together, alone, strict=True):
        assert said(one) == said(other)
        assert (one.judged, one.unjudged, one.slow_instances) == (other.judged, other.unjudged, other.slow_instances)
        assert set(one.active) == set(other.active)


def said(evaluation):
    """Verdicts without the last digits of their figures."""
    return [
        (v.query_hash, v.metric, v.window_intervals, v.began_at, v.label, f"{v.effect_ratio:.6g}", f"{v.score:.6g}")
        for v in evaluation.verdicts
    ] + [(v.instance, v.statements, v.began_at, f"{v.effect_ratio:.6g}") for v in evaluation.instance_verdicts]


def test_moments_closer_than_a_step_are_judged_one_by_one():
    workload, detector = troubled(1), StatisticalDetector(POLICY)
    frame = workload.frame()
    baselines = detector.learn(frame, workload.moment(LEARNT))
    ticks = [workload.moment(60), workload.moment(60) + timedelta(seconds=40), workload.moment(61)]
    together = list(detector.evaluate_span(frame, baselines, ticks))
    assert [said(one) for one in together] == [said(detector.evaluate(frame, baselines, tick)) for tick in ticks]


def test_what_the_caller_knows_is_not_spelt_out():
    workload, detector = troubled(2), StatisticalDetector(POLICY)
    frame = workload.frame()
    baselines = detector.learn(frame, workload.moment(LEARNT))
    known = next(detector.evaluate_span(frame, baselines, [workload.moment(58)], lambda ref, query: query == 4))
    assert {query for _, query in known.unchanged} == {4}
    assert 4 not in {verdict.query_hash for verdict in known.verdicts}


class Spelt(StatisticalDetector):
    """Gives every finding in full, moment by moment, as the analysis of production asks for it."""

    def evaluate_span(self, recent, baselines, ticks, known=None):
        for tick in ticks:
            yield from super().evaluate_span(recent, baselines, [tick])


def recorded():
    workload = Workload(14, 9 * 48, step=timedelta(minutes=30), noise=0.1, seed=3)
    workload.slow_down(2, slice(7 * 48 + 30, 8 * 48), 5)
    workload.slow_down(5, slice(7 * 48 + 40, None), 8)
    workload.plan[5, 7 * 48 + 40 :] = 99
    return workload, workload.frame()


def test_a_back_test_notifies_of_what_production_would_have():
    workload, frame = recorded()
    policy = DetectorPolicy(step=workload.step, lookback_intervals=96)
    calm = BacktestPolicy(lookback=policy.lookback)
    notified = [
        [(one.raised_at, one.incident.query_hash, one.incident.label) for one in report.notifications]
        for report in (backtest(frame, kind(policy), calm) for kind in (StatisticalDetector, Spelt))
    ]
    assert {query for _, query, _ in notified[0]} == {3, 6}
    assert notified[0] == notified[1]


def test_a_record_shorter_than_a_baseline_is_only_learnt_from():
    workload = Workload(3, 100)
    report = backtest(workload.frame(), StatisticalDetector(), BacktestPolicy())
    assert (report.notifications, report.ticks, report.first) == ((), 0, None)
    nothing = IntervalFrame(workload.frame().rows.iloc[:0], {})
    assert backtest(nothing, StatisticalDetector(), BacktestPolicy()).intervals == 0


def test_how_much_is_worked_on_at_once_changes_nothing(monkeypatch):
    workload, detector = troubled(4), StatisticalDetector(POLICY)
    frame = workload.frame(2)
    ticks = [workload.moment(tick) for tick in range(FIRST, LAST)]

    def judged():
        baselines = detector.learn(frame, workload.moment(LEARNT))
        return baselines.parameters, list(map(said, detector.evaluate_span(frame, baselines, ticks)))

    parameters, verdicts = judged()
    monkeypatch.setattr(history, "_ROWS", 150)
    monkeypatch.setattr(findings, "_POINTS", 70)
    in_parts = judged()
    np.testing.assert_allclose(in_parts[0], parameters, rtol=1e-6, atol=1e-9)
    assert in_parts[1] == verdicts
    assert any(verdicts)
