"""Judges of small workloads."""

from datetime import timedelta

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector

LEARNT = 47
"""Last tick that the baseline sees; faults begin at the next."""
SHOP = DatabaseRef("shop", "db0")
THREE_SECONDS = timedelta(seconds=3)


def evaluations(workload, ticks, *, learnt=LEARNT, databases=1, policy=None):
    detector = StatisticalDetector(policy or DetectorPolicy(step=workload.step))
    frame = workload.frame(databases)
    baselines = detector.learn(frame, workload.moment(learnt))
    return [detector.evaluate(frame, baselines, workload.moment(tick)) for tick in ticks]


def fired_queries(found):
    return [sorted(verdict.query_hash for verdict in evaluation.verdicts) for evaluation in found]
