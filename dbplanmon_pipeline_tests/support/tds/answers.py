"""What a handler is asked and what it may answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Login = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One thing a client wants done.

    Attributes:
        sql: text of the batch or of the prepared statement; the name of the procedure for any other call.
        params: values in the order sent.
        kind: `batch`, or the lower-case name of the called procedure.
        login: of this connection; `database` follows USE.
    """

    sql: str
    params: list[Any]
    kind: str
    login: Login


@dataclass(frozen=True)
class Result:
    """A result set: `columns` are (name, SQL type), such as ("plan_id", "bigint") or ("body", "nvarchar(max)")."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]] = field(default_factory=list)


@dataclass(frozen=True)
class ServerError:
    """An error message; severity above 19 does not end the connection here, `Drop` does."""

    number: int
    message: str
    severity: int = 16
    state: int = 1
    line: int = 1
    procedure: str = ""


@dataclass(frozen=True)
class RowCount:
    """Success without rows; below zero: no count is told."""

    count: int = 0


@dataclass(frozen=True)
class Delay:
    """Wait, then answer; the client may give up meanwhile unless `ignore_attention`."""

    seconds: float
    then: "Answer" = None
    ignore_attention: bool = False


@dataclass(frozen=True)
class Drop:
    """Cut the connection: at once, after that many rows of `result`, or after all of it when `after_rows` is None."""

    after_rows: int | None = None
    result: Result | None = None


Answer = Result | ServerError | RowCount | Delay | Drop | list[Any] | None
Handler = Callable[[Request], Answer]
