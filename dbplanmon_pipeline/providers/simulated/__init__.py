"""Fleets that exist only in memory, with a known truth."""

from dbplanmon_pipeline.providers.simulated.faults import FaultKind, SimulatedFault
from dbplanmon_pipeline.providers.simulated.history import TrueWork
from dbplanmon_pipeline.providers.simulated.provider import SimulatedProvider, Source, StatementProfile

__all__ = ["FaultKind", "SimulatedFault", "SimulatedProvider", "Source", "StatementProfile", "TrueWork"]
