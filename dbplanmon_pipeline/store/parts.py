"""What every part of the store rests on: the database and the clock."""

from dbplanmon_pipeline.core.ports import Clock
from dbplanmon_pipeline.store.engine import Database


class StorePart:
    """One subject of the store; `SqlStore` is all of them over one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
