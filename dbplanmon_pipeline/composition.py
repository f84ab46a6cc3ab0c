"""Settings in, adapters out: the one place where ports meet their implementations.

The Dagster definitions and the command line both start here, so they run the same use cases on the same adapters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property

from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.incident_machine import IncidentPolicy
from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.ports import Channel, Clock, Provider
from dbplanmon_pipeline.core.verdict.model import Detector
from dbplanmon_pipeline.core.verdict.statistical import DetectorPolicy, StatisticalDetector
from dbplanmon_pipeline.core.verdict.threshold import ThresholdDetector, ThresholdPolicy
from dbplanmon_pipeline.notify import ChannelSpec, build_channels
from dbplanmon_pipeline.services.analyse import AnalysisPolicy
from dbplanmon_pipeline.services.collect import CollectionPolicy
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.services.resolve_targets import InstanceSpec
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.store import SqlStore, open_store


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)
