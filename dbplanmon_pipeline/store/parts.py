"""What every part of the store rests on: the database and the clock; and how any of them writes to the audit."""

from collections.abc import Mapping

from sqlalchemy import Connection

from dbplanmon_pipeline.core.ports import Clock
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.engine import Database
from dbplanmon_pipeline.store.schema import audit_log


class StorePart:
    """One subject of the store; `SqlStore` is all of them over one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def _note(
        self, connection: Connection, actor: str, action: str, subject: str, detail: Mapping[str, object]
    ) -> None:
        """One entry of the audit, within the transaction of what it tells of."""
        record = {"at": self._clock(), "actor": actor, "action": action, "subject": subject, "detail": dict(detail)}
        insert_records(connection, audit_log, [record])
