"""What a provider is asked to run for a KPI, and what comes back."""

from dataclasses import dataclass

MOST_ROWS = 1_000
"""A figure is in the first row; what is beyond so many is not even fetched."""


@dataclass(frozen=True, slots=True)
class KpiStatement:
    """One reading statement of a user; exactly one of `sql` and `procedure` is set.

    Attributes:
        sql: one statement that returns rows.
        procedure: `name` or `schema.name`, each part also in double quotes or brackets.
        least_privilege: the settings give this statement a login of its own and declare that it can only read.
    """

    sql: str | None = None
    procedure: str | None = None
    least_privilege: bool = False


@dataclass(frozen=True, slots=True)
class KpiRow:
    """The first row of an answer.

    Attributes:
        columns: names as the server gives them; a column without a name is empty.
        values: of the first row; empty where there is no row.
        row_count: rows fetched, at most `MOST_ROWS`.
    """

    columns: tuple[str, ...]
    values: tuple[object, ...]
    row_count: int
