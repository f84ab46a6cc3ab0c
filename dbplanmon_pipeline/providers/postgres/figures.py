"""A statement of a user, run in a transaction that is read only and always rolled back."""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from dbplanmon_pipeline.core.kpis.procedure_name import procedure_parts
from dbplanmon_pipeline.core.kpis.statement import MOST_ROWS, KpiRow, KpiStatement
from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing, ProviderError, StatementRefused
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import MARKER, statement

_READ_ONLY = "Write one SELECT, WITH, VALUES or TABLE statement; it runs read only, and nothing was changed."
_CURSOR = "dbplanmon_kpi"

_WRITES = {
    "25006": "the statement writes",
    "25001": "the statement tries to leave the read-only transaction",
    "2D000": "the procedure ends the transaction it runs in",
    "0A000": "the statement writes, or is none that returns rows",
    "42601": "the text is not one reading statement",
    "3B001": "the statement ends the transaction it runs in",
    "25P01": "the statement ends the transaction it runs in",
    "34000": "the statement ends the transaction it runs in",
}
_MISSING = {"42P01": "table", "42703": "column", "42883": "function or procedure", "3F000": "schema"}


def read_figures(session: Session, wanted: KpiStatement, timeout: float) -> KpiRow:
    """The first row of a statement or procedure.

    A statement becomes a cursor, which the grammar gives to reading statements only, in a message that holds one
    statement; the transaction is read only and cannot be made writable, since it has a snapshot already.

    Args:
        session: open and prepared.
        wanted: what to run.
        timeout: longest time of it [seconds].

    Raises:
        StatementRefused: it is not one reading statement.
        ProviderError: the server refused it, or did not answer in time.
    """
    session.limit_statements(timeout)
    try:
        session.table(f"BEGIN {MARKER} READ ONLY")
        try:
            session.table(f"SELECT {MARKER} 1")
            columns, rows = _called(session, wanted.procedure) if wanted.procedure else _fetched(session, wanted)
        finally:
            if session.alive:
                session.table(f"ROLLBACK {MARKER}")
    except psycopg.Error as error:
        raise _translated(session, error) from None
    return KpiRow(columns, rows[0] if rows else (), len(rows))


def _fetched(session: Session, wanted: KpiStatement) -> tuple[tuple[str, ...], Sequence[tuple[object, ...]]]:
    declare = f"DECLARE {MARKER} {_CURSOR} NO SCROLL CURSOR FOR {wanted.sql or ''}"
    session.table(declare.encode(), single=True)
    return session.table(f"FETCH {MARKER} FORWARD {MOST_ROWS} FROM {_CURSOR}")


def _called(session: Session, name: str) -> tuple[tuple[str, ...], Sequence[tuple[object, ...]]]:
    """A procedure answers with its output parameters; a function with its rows."""
    target = _identifier(session, name)
    found = session.attempt(statement("procedure"), {"name": target.as_string()})
    if not found:
        raise _unknown(session)
    is_procedure, parameters, inputs = found[0]
    if inputs:
        raise FeatureUnavailable(
            "the procedure takes arguments", target=session.target, remedy="Write one without, that calls it."
        )
    if is_procedure:
        nulls = sql.SQL(", ").join([sql.NULL] * parameters)
        return session.table(sql.SQL("CALL {}({})").format(target, nulls), single=True)
    query = sql.SQL("DECLARE {} NO SCROLL CURSOR FOR SELECT * FROM {}()").format(sql.Identifier(_CURSOR), target)
    session.table(query, single=True)
    return session.table(f"FETCH {MARKER} FORWARD {MOST_ROWS} FROM {_CURSOR}")


def _identifier(session: Session, name: str) -> sql.Identifier:
    try:
        parts = procedure_parts(name)
    except ValueError as error:
        raise StatementRefused(str(error), target=session.target) from None
    # As the server does with names that are not quoted.
    return sql.Identifier(*(part if quoted else part.lower() for part, quoted in parts))


def _unknown(session: Session) -> FeatureUnavailable:
    return FeatureUnavailable(
        "there is no procedure or function of this name, or several",
        target=session.target,
        remedy="Write its schema before its name, and check the right to use the schema.",
    )


def _translated(session: Session, error: psycopg.Error) -> ProviderError:
    """By its SQLSTATE alone: the words of the server may quote a literal of the statement or a value of the data."""
    state = error.sqlstate or ""
    if state in _WRITES:
        return StatementRefused(f"{_WRITES[state]} ({state})", target=session.target, remedy=_READ_ONLY)
    if state in _MISSING:
        what = f"the statement names a {_MISSING[state]} that is not there ({state})"
        return FeatureUnavailable(what, target=session.target, remedy="Correct it; write names with their schema.")
    if state == "42501":
        remedy = "Grant SELECT, or EXECUTE, to the role that reads it."
        return PermissionMissing("permission denied (42501)", target=session.target, remedy=remedy)
    if not state or state[:2] in ("08", "28", "3D", "53", "55", "57"):
        return session.translated(error)
    return ProviderError(
        f"the statement failed ({state})", target=session.target, remedy="Run it by hand as the same role."
    )
