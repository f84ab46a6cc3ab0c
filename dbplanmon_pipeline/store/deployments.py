"""Markers of deployments; who made them stands in the audit, too."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select

from dbplanmon_pipeline.core.deployments import Deployment
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import audit_log, deployment


class DeploymentPart(StorePart):
    """What was deployed, where and when."""

    def add_deployment(self, marker: Deployment) -> bool:
        """Store a marker, and who made it in the audit; false where the same one is there already."""
        record = asdict(marker)
        detail = {name: str(value) for name, value in record.items() if name not in ("deployment_id", "created_by")}
        entry = {
            "at": self._clock(),
            "actor": marker.created_by,
            "action": "deployment marked",
            "subject": marker.deployment_id,
            "detail": detail,
        }
        with self._database.write() as connection:
            added = insert_records(connection, deployment, [record], "ON CONFLICT DO NOTHING") > 0
            if added:
                insert_records(connection, audit_log, [entry])
        return added

    def deployments(self, start: datetime, end: datetime) -> list[Deployment]:
        """What was marked as deployed in [start, end], oldest first."""
        table = deployment
        wanted = select(table).where(table.c.deployed_at >= start, table.c.deployed_at <= end)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(table.c.deployed_at, table.c.deployment_id)).mappings()
            return [Deployment(**row) for row in rows]
