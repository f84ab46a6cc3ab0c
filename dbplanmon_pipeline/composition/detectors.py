"""The detector the settings name, with its thresholds, and when growth of the workload is worth telling."""

from datetime import timedelta

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.verdict.model import Detector
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.core.verdict.threshold import ThresholdDetector, ThresholdPolicy
from dbplanmon_pipeline.core.workload.changes import WorkloadPolicy
from dbplanmon_pipeline.settings import Settings


def build_detector(settings: Settings) -> Detector:
    """`statistical` or `threshold`."""
    return _threshold(settings) if settings.analysis.detector.value == "threshold" else _statistical(settings)


def _statistical(settings: Settings) -> StatisticalDetector:
    step = settings.collection.interval
    return StatisticalDetector(
        DetectorPolicy(
            step=step,
            days=settings.baselines.days,
            min_intervals=settings.baselines.min_intervals,
            lookback_intervals=settings.analysis.lookback // step,
            common_mode_ratio=settings.analysis.common_mode_ratio,
            min_extra_seconds_per_hour=settings.analysis.min_extra_seconds_per_hour,
            min_extra_seconds_overrides=_overrides(settings),
        )
    )


def workload_policy(settings: Settings) -> WorkloadPolicy:
    """The same extra cost matters as of incidents; new is what no full baseline knows."""
    return WorkloadPolicy(
        min_extra_seconds_per_hour=settings.analysis.min_extra_seconds_per_hour,
        min_extra_overrides=_overrides(settings),
        new_within=timedelta(days=settings.baselines.days),
    )


def _overrides(settings: Settings) -> dict[DatabaseRef, float]:
    """Databases whose own threshold differs from the general one."""
    general = settings.analysis.min_extra_seconds_per_hour
    found = {}
    for instance in settings.instances:
        for database in instance.databases.names:
            own = settings.for_database(instance.name, database).analysis.min_extra_seconds_per_hour
            if own != general:
                found[DatabaseRef(instance.name, database)] = own
    return found


def _threshold(settings: Settings) -> ThresholdDetector:
    limits = settings.defaults.regression
    return ThresholdDetector(
        ThresholdPolicy(
            step=settings.collection.interval,
            window=settings.analysis.window,
            days=settings.baselines.days,
            duration_percent=limits.duration_percent,
            cpu_percent=limits.cpu_percent,
            reads_percent=limits.reads_percent,
            min_executions=limits.min_executions,
            min_samples=limits.min_baseline_samples,
        )
    )
