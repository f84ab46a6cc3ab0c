"""Statements whose answer is welcome, but no reason to fail."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement

MOST_ROWS = 1000
KEEP = timedelta(minutes=15)
"""How long the answer to a dear statement serves."""


def optional_rows(
    session: Session, name: str, parameters: Sequence[object] = (), text: str | None = None
) -> list[tuple[Any, ...]]:
    """Rows of `sql/<name>.sql`, or of `text`; none where the login may not ask or the server does not know the names.

    Raises:
        ProviderError: anything else, such as a lost connection or a spent budget.
    """
    try:
        return session.rows(statement(name) if text is None else text, parameters, limit=MOST_ROWS)
    except (PermissionMissing, FeatureUnavailable):
        return []


class KeptRows:
    """Answers to statements that make the server read much for little, kept for a while; shared by all readers.

    Args:
        keep: how long an answer serves.
    """

    def __init__(self, keep: timedelta = KEEP) -> None:
        self._keep = keep
        self._guard = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[datetime, list[tuple[Any, ...]]]] = {}

    def rows(self, session: Session, name: str, owner: str, now: datetime) -> list[tuple[Any, ...]]:
        """As `optional_rows`, asked anew where the last answer for this owner is too old.

        Args:
            session: open on the database.
            name: of the statement.
            owner: whose answer it is; a database that was restored is another owner.
            now: aware UTC.

        Raises:
            ProviderError: the server did not answer.
        """
        with self._guard:
            known = self._kept.get((owner, name))
        if known is not None and timedelta(0) <= now - known[0] < self._keep:
            return known[1]
        found = optional_rows(session, name)
        with self._guard:
            self._kept[owner, name] = (now, found)
        return found
