"""The fleet as health and metrics look at it: what is watched, and how each database stands."""

from collections.abc import Iterable
from datetime import timedelta

from dbplanmon_pipeline.composition import Session
from dbplanmon_pipeline.composition.providers import discovering_instances, named_databases
from dbplanmon_pipeline.core.fleet import watched
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports.figures import DatabaseState

_MINUTE = timedelta(minutes=1)


def cadence(session: Session) -> timedelta:
    """Time between two readings; schedules know none shorter than a minute."""
    return max(session.settings.collection.interval, _MINUTE)


def named(session: Session) -> tuple[DatabaseRef, ...]:
    """Databases the settings name; asks nobody."""
    simulated = any(instance.engine is Engine.SIMULATED and instance.enabled for instance in session.settings.instances)
    # Providers load drivers, which need not be there where only the status page runs.
    return named_databases(session.settings, session.providers if simulated else {})


def watched_databases(session: Session, states: Iterable[DatabaseState]) -> list[DatabaseState]:
    """Databases that should be read, by name, those never read among them."""
    return watched(states, named(session), discovering_instances(session.settings), cadence(session))
