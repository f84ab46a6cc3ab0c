"""A deployment that a person or a pipeline tells of, so that incidents after it can name it."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Protocol

from dbplanmon_pipeline.core.causes.deployments import (
    Deployment,
    UnknownDeployment,
    UnusableDeployment,
    chosen_deployment,
    new_deployment,
)

_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class DeploymentStore(Protocol):
    """What marking and taking back need."""

    def add_deployment(self, marker: Deployment) -> bool:
        """Store a marker, and who made it in the audit; false where the same one is there already."""
        ...

    def deployments(self, start: datetime, end: datetime) -> list[Deployment]:
        """What was marked as deployed in [start, end], oldest first."""
        ...

    def remove_deployment(self, deployment_id: str, actor: str, reason: str) -> bool:
        """Forget a marker, and keep in the audit what it was and who took it back; false where there is none."""
        ...


def mark_deployment(
    store: DeploymentStore,
    name: str,
    *,
    instances: Collection[str],
    instance: str = "",
    database: str = "",
    deployed_at: datetime | None = None,
    note: str = "",
    now: datetime,
    actor: str,
) -> Deployment:
    """Keep a marker; the same one twice is kept once, so that a pipeline may try again.

    Args:
        store: where it is kept.
        name: what was rolled out.
        instances: names of the settings, one of which an instance must be.
        instance: where; empty for everywhere.
        database: likewise; without an instance, databases of that name on any.
        deployed_at: when, aware; now where it is not given.
        note: anything worth knowing.
        now: present moment, aware UTC.
        actor: who marks it.

    Raises:
        UnusableDeployment: a text is missing or too long, the moment lies ahead, or no instance has that name.
    """
    marker = new_deployment(
        name, instance=instance, database=database, deployed_at=deployed_at, note=note, now=now, actor=actor
    )
    if marker.instance and marker.instance not in instances:
        raise UnusableDeployment(f"no instance is called {marker.instance!r}; take a name of the settings, or none")
    store.add_deployment(marker)
    return marker


def take_back_deployment(store: DeploymentStore, wanted: str, *, actor: str, reason: str = "") -> Deployment:
    """Remove a marker that was put by mistake; no incident names it any more.

    Args:
        store: where it is kept.
        wanted: its id, or its name where only one has it.
        actor: who takes it back.
        reason: why.

    Returns:
        What it was.

    Raises:
        UnknownDeployment: there is none, several have the name, or somebody else removed it just now.
    """
    marker = chosen_deployment(store.deployments(*_EVER), wanted)
    if not store.remove_deployment(marker.deployment_id, actor, reason):
        raise UnknownDeployment(f"deployment {marker.deployment_id} was taken back by somebody else just now")
    return marker
