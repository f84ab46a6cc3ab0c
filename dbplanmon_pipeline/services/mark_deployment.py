"""A deployment that a person or a pipeline tells of, so that incidents after it can name it."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.deployments import Deployment, UnusableDeployment, new_deployment


class DeploymentStore(Protocol):
    """What marking needs."""

    def add_deployment(self, marker: Deployment) -> bool:
        """Store a marker, and who made it in the audit; false where the same one is there already."""
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
