"""Statements whose answer is welcome, but no reason to fail."""

from collections.abc import Sequence
from typing import Any

from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement

MOST_ROWS = 1000


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
