"""Runs each of our statements once on a real server, with parameters that find nothing or little."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import ProviderError
from dbplanmon_pipeline.providers.sqlserver.failures import native_number
from dbplanmon_pipeline.providers.sqlserver.inventory import AZURE_ONLY, StatementInfo, inventory
from dbplanmon_pipeline.providers.sqlserver.probe import ServerFacts
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import MARKER, statement, statement_in

MOST_ROWS = 1000
"""Of one statement; what is beyond is not fetched."""

SECONDS_PER_STATEMENT = 30.0

_AGE = timedelta(minutes=1)
_NO_SUCH_HANDLE = 569
"""The server understood the statement and has no plan of that handle."""


def run_self_test(
    session: Session, facts: ServerFacts, statements: Iterable[StatementInfo] | None = None
) -> list[StatementTrial]:
    """Try every statement that fits the server; a failure is a trial that is not ok, and the next one is tried.

    Args:
        session: an open connection to the database.
        facts: what the probe found on it.
        statements: which; all of `inventory()` by default.
    """
    session.limit_statements(SECONDS_PER_STATEMENT)
    return [_trial(session, facts, info) for info in (inventory() if statements is None else statements)]


def _trial(session: Session, facts: ServerFacts, info: StatementInfo) -> StatementTrial:
    skipped = _skipped(session, facts, info)
    if skipped:
        return StatementTrial(info.name, info.purpose, ok=False, skipped_reason=skipped)
    began = time.perf_counter()
    try:
        found = session.rows(_text(info), harmless_parameters(info), limit=MOST_ROWS)
    except ProviderError as error:
        if native_number(error) == _NO_SUCH_HANDLE:
            return StatementTrial(info.name, info.purpose, ok=True, duration_ms=_since(began))
        return StatementTrial(
            info.name,
            info.purpose,
            ok=False,
            duration_ms=_since(began),
            message=" ".join(error.message.split()),
            remedy=error.remedy,
        )
    return StatementTrial(info.name, info.purpose, ok=True, rows=len(found), duration_ms=_since(began))


def _skipped(session: Session, facts: ServerFacts, info: StatementInfo) -> str:
    if info.excluded == facts.engine_edition.value:
        return f"not for {info.excluded}"
    if not info.runs_on(facts.level, facts.engine_edition):
        return f"for {AZURE_ONLY} only" if info.release == AZURE_ONLY else f"needs SQL Server {info.release}"
    return "" if session.alive else "the connection is gone"


def _text(info: StatementInfo) -> str:
    """Not quite the text of the collection: a plan made for ids that nobody has would serve the next collection too."""
    text = statement_in(info.name, 1) if info.takes_list else statement(info.name)
    return text.replace(f"SELECT {MARKER}", f"SELECT {MARKER} /* trial */", 1)


def harmless_parameters(info: StatementInfo) -> list[object]:
    """A value of the right type for each parameter: ids that nobody has, a row limit of 1, the last minute.

    Raises:
        ValueError: a type this test has no value for.
    """
    return [_harmless(sql_type) for _, sql_type in info.parameters]


def _harmless(sql_type: str) -> object:
    kind = sql_type.partition("(")[0]
    if kind in ("datetimeoffset", "datetime2"):
        return datetime.now(UTC) - _AGE
    values: dict[str, object] = {
        "bigint": -1,
        "int": 1,
        "float": 0.0,
        "binary": bytes(8),
        "varbinary": b"\x06" + bytes(43),
        "nvarchar": "",
        "varchar": "",
    }
    if kind not in values:
        raise ValueError(f"no harmless value for {sql_type}")
    return values[kind]


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
