from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.verdict.threshold import ThresholdDetector, ThresholdPolicy
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


def judge(workload, tick=59, learnt=47, policy=None):
    detector = ThresholdDetector(policy)
    frame = workload.frame()
    return detector.evaluate(frame, detector.learn(frame, workload.moment(learnt)), workload.moment(tick))


def fired(evaluation):
    return [verdict.query_hash for verdict in evaluation.verdicts]


def test_nothing_fires_while_nothing_rises():
    evaluation = judge(Workload(noise=0.05))
    assert fired(evaluation) == []
    assert (evaluation.judged, evaluation.unjudged, len(evaluation.active)) == (12, 0, 12)


@pytest.mark.parametrize(("factor", "queries"), [(1.3, []), (1.6, [4])])
def test_duration_above_half_as_much_again_fires(factor, queries):
    workload = Workload(noise=0.02)
    workload.cost[3, 48:] *= factor
    assert fired(judge(workload)) == queries


def test_cpu_alone_fires_and_is_the_metric():
    workload = Workload(noise=0.02)
    workload.worker[3, 48:] *= 2
    (verdict,) = judge(workload).verdicts
    assert (verdict.metric, verdict.effect_ratio) == ("worker_time_us", pytest.approx(2, rel=0.1))
    assert verdict.extra_seconds_per_hour == pytest.approx(480 * 0.004, rel=0.2)
    assert verdict.began_at == workload.moment(47)


@pytest.mark.parametrize(("factor", "queries"), [(1.8, []), (2.2, [4])])
def test_reads_fire_from_twice_as_many(factor, queries):
    workload = Workload(noise=0.02)
    workload.reads[3, 48:] *= factor
    assert fired(judge(workload)) == queries


def test_fewer_executions_than_demanded_are_silent():
    workload = Workload(noise=0.02)
    workload.cost[3, 48:] *= 5
    workload.calls[3, 48:] = 0
    workload.calls[3, 59] = 4
    assert fired(judge(workload)) == []
    workload.calls[3, 59] = 5
    assert fired(judge(workload)) == [4]


def test_too_few_baseline_samples_leave_a_statement_unjudged():
    workload = Workload(noise=0.02)
    workload.calls[3, :39] = 0
    workload.cost[3, 48:] *= 5
    evaluation = judge(workload)
    assert (fired(evaluation), evaluation.unjudged) == ([], 1)


def test_percentages_are_settings():
    workload = Workload(noise=0.02)
    workload.cost[3, 48:] *= 1.3
    assert fired(judge(workload, policy=ThresholdPolicy(duration_percent=20))) == [4]


def test_baselines_of_another_layout_are_refused():
    workload = Workload()
    frame, detector = workload.frame(), ThresholdDetector()
    baselines = replace(detector.learn(frame, workload.moment(47)), layout="other/1")
    with pytest.raises(ValueError, match="rebuild"):
        detector.evaluate(frame, baselines, workload.moment(48))
