"""What really happened to a statement, a database or an instance during a record, as somebody who knows labelled it."""

import math
from dataclasses import dataclass
from datetime import datetime

from dbplanmon_pipeline.core.incidents.incident import IncidentScope


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """Something that really happened to a statement, to a database or to an instance.

    Attributes:
        scope: an event of an instance or a database is always to be found.
        database: empty for any database of the instance.
        query_hash: 0 but for the scope `query`.
        kind: a word of whoever labelled it.
        start / end: aware UTC, half open.
        magnitude: cost over normal; NaN unknown.
        extra_seconds_per_hour: what it cost; NaN unknown.
        is_regression: to be found; false for what only looks like one.
        is_neutral: alerts on it count neither way.
    """

    scope: IncidentScope
    instance: str
    database: str
    query_hash: int
    kind: str
    start: datetime
    end: datetime
    magnitude: float = math.nan
    extra_seconds_per_hour: float = math.nan
    is_regression: bool = True
    is_neutral: bool = False

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is about."""
        return (self.instance, self.database, self.query_hash)
