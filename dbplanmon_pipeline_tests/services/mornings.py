"""Some days of which only the mornings are recorded, and the workload of the last one can be made to grow."""

from datetime import timedelta
from pathlib import Path

from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Fleet
from dbplanmon_pipeline_tests.services.stories import INSTANCE, REF, STATEMENTS

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAYS = 3
"""Of history: Monday to Wednesday."""

BEGIN = START + DAYS * DAY + HOUR
END = BEGIN + HOUR


def fleet_at(folder: Path, moment, *faults: SimulatedFault) -> tuple[Fleet, FixedClock]:
    """One database over the store of a folder."""
    clock = FixedClock(moment)
    store = open_store(f"sqlite:///{folder}/store.db", clock=clock)
    store.upgrade()
    provider = SimulatedProvider(INSTANCE, 1, clock=clock, statements=STATEMENTS, seed=7, faults=faults)
    return Fleet(store, clock, provider), clock


def fault(kind: str, statement: int, factor: float = 9.0) -> SimulatedFault:
    """Something that begins at nine of the last morning."""
    return SimulatedFault("it", REF.database, statement, FaultKind(kind), BEGIN, factor=factor)


def write_mornings(folder: Path, *faults: SimulatedFault, last_hours: int = 2) -> None:
    """From eight to ten on each of the days; the last one for some hours."""
    fleet, clock = fleet_at(folder, START, *faults)
    fleet.collect()
    for day in range(DAYS + 1):
        clock.moment = START + day * DAY
        fleet.tick(4 * (last_hours if day == DAYS else 2), by=3 * STEP)
    fleet.store.close()
