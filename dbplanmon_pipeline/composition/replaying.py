"""A back-test with the detector, the cadence and the thresholds that the settings name."""

from pathlib import Path

from dbplanmon_pipeline.composition.detectors import build_detector
from dbplanmon_pipeline.composition.incidents import incident_policy
from dbplanmon_pipeline.services.backtest import BacktestPolicy, BacktestReport, backtest
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.sections import DetectorName
from dbplanmon_pipeline.store.recorded_intervals import read_recorded_intervals


def replay_recorded(settings: Settings, path: Path, detector: str | None = None) -> BacktestReport:
    """Replay the interval rows in a Parquet file or a folder of them.

    Args:
        settings: thresholds and cadence.
        path: what `read_recorded_intervals` takes.
        detector: name of a detector instead of that of the settings.

    Raises:
        StoreError: the rows cannot be read.
    """
    if detector is not None:
        analysis = settings.analysis.model_copy(update={"detector": DetectorName(detector)})
        settings = settings.model_copy(update={"analysis": analysis})
    policy = BacktestPolicy(
        incidents=incident_policy(settings.collection.interval),
        lookback=settings.analysis.lookback,
        days=settings.baselines.days,
    )
    return backtest(read_recorded_intervals(path), build_detector(settings), policy)
