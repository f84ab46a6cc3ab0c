"""What an analysis keeps for the next one, in the state folder."""

from dbplanmon_pipeline import __version__
from dbplanmon_pipeline.core.verdict.model import Detector
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.services.analyse_step import RunningSteps
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.store import SqlStore, StateFolder

FOLDER = "analysis"


def running_steps(settings: Settings, store: SqlStore, detector: Detector) -> RunningSteps | None:
    """None for a detector that reads little anyway."""
    if not isinstance(detector, StatisticalDetector):
        return None
    files = StateFolder(settings.state_dir / FOLDER)
    return RunningSteps(store, files, detector.policy, detector.layout, f"{__version__} {store.url}")
