"""Markers of deployments; who made them stands in the audit, too."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select

from dbplanmon_pipeline.core.causes.deployments import Deployment
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import deployment


class DeploymentPart(StorePart):
    """What was deployed, where and when."""

    def add_deployment(self, marker: Deployment) -> bool:
        """Store a marker, and who made it in the audit; false where the same one is there already."""
        record = asdict(marker)
        with self._database.write() as connection:
            added = insert_records(connection, deployment, [record], "ON CONFLICT DO NOTHING") > 0
            if added:
                told = _told(record, "created_by")
                self._note(connection, marker.created_by, "deployment marked", marker.deployment_id, told)
        return added

    def remove_deployment(self, deployment_id: str, actor: str, reason: str) -> bool:
        """Forget a marker, and keep in the audit what it was and who took it back; false where there is none."""
        chosen = deployment.c.deployment_id == deployment_id
        with self._database.write() as connection:
            row = connection.execute(select(deployment).where(chosen)).mappings().one_or_none()
            removed = row is not None and connection.execute(deployment.delete().where(chosen)).rowcount > 0
            if row is not None and removed:
                told = _told({**row, "reason": reason})
                self._note(connection, actor, "deployment removed", deployment_id, told)
        return removed

    def deployments(self, start: datetime, end: datetime) -> list[Deployment]:
        """What was marked as deployed in [start, end], oldest first."""
        table = deployment
        wanted = select(table).where(table.c.deployed_at >= start, table.c.deployed_at <= end)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(table.c.deployed_at, table.c.deployment_id)).mappings()
            return [Deployment(**row) for row in rows]


def _told(record: Mapping[str, Any], *without: str) -> dict[str, object]:
    """The whole marker, for its entry in the audit."""
    return {name: str(value) for name, value in record.items() if name not in ("deployment_id", *without)}
