"""A statement of a user, run in a transaction that is rolled back.

SQL Server has no read-only transaction, and a procedure may end the one it is called in. So what really keeps a KPI
from writing is a login that cannot: without one declared in the settings nothing is run at all. The check of the
words and the rollback are there for mistakes.
"""

import contextlib

from dbplanmon_pipeline.core.kpis.procedure_name import procedure_parts
from dbplanmon_pipeline.core.kpis.statement import MOST_ROWS, KpiRow, KpiStatement
from dbplanmon_pipeline.core.statements.tsql_reading import end_of_first_word, why_not_reading
from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing, ProviderError, StatementRefused
from dbplanmon_pipeline.providers.sqlserver.failures import native_number
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import MARKER

BEGIN = f"""SET {MARKER} XACT_ABORT ON; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET IMPLICIT_TRANSACTIONS OFF;
BEGIN TRANSACTION;"""
"""Tables of users are read as they are committed; the lock timeout of the session bounds every wait."""

END = f"SELECT {MARKER} @@TRANCOUNT AS open_transactions; IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;"

_ONE_SELECT = "Write one statement that begins with SELECT or WITH; nothing was run."
_MISSING_NAMES = frozenset({195, 207, 208, 209, 2812, 4104, 4121, 4145})


def read_figures(session: Session, wanted: KpiStatement, timeout: float) -> KpiRow:
    """The first row of a statement or procedure.

    Args:
        session: open, under the login of the KPI.
        wanted: what to run.
        timeout: longest time of it [seconds].

    Raises:
        StatementRefused: it does not only read, ended our transaction, or its login is not declared least-privileged.
        ProviderError: the server refused it, or did not answer in time.
    """
    text = _text(wanted, session.target)
    session.limit_statements(timeout)
    try:
        columns, rows = _within_transaction(session, text)
    except ProviderError as error:
        raise _for_users(error, session.target) from None
    return KpiRow(columns, rows[0] if rows else (), len(rows))


def _text(wanted: KpiStatement, target: str) -> str:
    if not wanted.least_privilege:
        raise StatementRefused(
            "SQL Server has no read-only transaction, and this KPI has no login of its own that can only read",
            target=target,
            remedy="Give it a login with least_privilege: true; docs/kpis.md has the script.",
        )
    if wanted.procedure is not None:
        return f"EXEC {_quoted(wanted.procedure, target)} /* dbplanmon */"
    text = wanted.sql or ""
    if reason := why_not_reading(text):
        raise StatementRefused(f"the statement is refused: {reason}", target=target, remedy=_ONE_SELECT)
    place = end_of_first_word(text)
    return f"{text[:place]} {MARKER}{text[place:]}"


def _quoted(name: str, target: str) -> str:
    try:
        parts = procedure_parts(name)
    except ValueError as error:
        raise StatementRefused(str(error), target=target) from None
    return ".".join(f"[{part.replace(']', ']]')}]" for part, _ in parts)


def _within_transaction(session: Session, text: str) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    session.rows(BEGIN)
    try:
        columns, rows = session.table(text, limit=MOST_ROWS)
    except ProviderError:
        # The connection is closed after this, which rolls back too.
        if session.alive:
            with contextlib.suppress(ProviderError):
                session.rows(END)
        raise
    if session.rows(END) == [(0,)]:
        raise StatementRefused(
            "the procedure ended the transaction it was called in",
            target=session.target,
            remedy="Take COMMIT and ROLLBACK out of it; what it wrote before is not taken back.",
        )
    return columns, rows


def _for_users(error: ProviderError, target: str) -> ProviderError:
    """What concerns the statement of a user is not told as if it were one of ours."""
    number = native_number(error)
    if number in _MISSING_NAMES:
        what = f"the statement names something that is not there, or not open to its login ({number})"
        return FeatureUnavailable(what, target=target, remedy="Correct it; write names with their schema.")
    if isinstance(error, PermissionMissing):
        remedy = "Grant SELECT or EXECUTE to the login of the KPI."
        return PermissionMissing(error.message, target=target, remedy=remedy)
    if type(error) is ProviderError:
        number_words = f" (error {number})" if number else ""
        remedy = "Run it by hand under the login of the KPI."
        return ProviderError(f"the statement failed{number_words}", target=target, remedy=remedy)
    return error
