"""Texts of the simulated statements: T-SQL as an application writes it, over a handful of tables.

Statement i is the same in every database, as in a fleet of tenants with one application; so are its hashes. It has
three plans: the normal one, a regressed one that reads the whole table, and another one that is as good.
"""

from dataclasses import dataclass
from functools import lru_cache

from dbplanmon_pipeline.core.model import StatementText
from dbplanmon_pipeline.providers.simulated.randomness import stable_hash

_TABLES = (
    ("orders", 4_800_000),
    ("order_lines", 19_000_000),
    ("customers", 350_000),
    ("products", 60_000),
    ("invoices", 4_100_000),
    ("payments", 3_900_000),
    ("shipments", 2_700_000),
    ("stock_moves", 31_000_000),
    ("tickets", 900_000),
    ("visits", 52_000_000),
)
_FROM = "FROM dbo.{table} AS t WHERE t.{column} = @p1"
_TEXTS = (
    f"SELECT t.id, t.status, t.amount {_FROM}",
    f"SELECT TOP (@p2) t.id, t.amount, t.changed_at {_FROM} ORDER BY t.changed_at DESC",
    "SELECT t.id, o.title FROM dbo.{table} AS t JOIN dbo.{other} AS o ON o.id = t.{other}_id WHERE t.{column} = @p1",
    f"SELECT t.status, COUNT_BIG(*) AS n, SUM(t.amount) AS amount {_FROM} GROUP BY t.status",
    "UPDATE t SET t.status = @p2 FROM dbo.{table} AS t WHERE t.{column} = @p1",
)
_SHAPES = len(_TEXTS)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: table `t`, the table `o` it may join, and the column it looks for."""

    shape: int
    table: str
    table_rows: int
    other: str
    other_rows: int
    column: str

    @property
    def found_rows(self) -> float:
        """Rows with one value of the column."""
        return max(1.0, self.table_rows / 40_000)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("@p1", "@p2") if "@p2" in _TEXTS[self.shape] else ("@p1",)


@lru_cache(maxsize=4096)
def query_hash(statement: int) -> int:
    """Hash of a statement, the same in every database."""
    return stable_hash("simulated statement", statement)


@lru_cache(maxsize=8192)
def plan_hash(statement: int, plan: int) -> int:
    """Hash of one of the plans of a statement."""
    return stable_hash("simulated plan", statement, plan)


def subject(statement: int) -> Subject:
    """What a statement is about."""
    number, shape = divmod(statement, _SHAPES)
    table, rows = _TABLES[number % len(_TABLES)]
    other, other_rows = _TABLES[(number + 2) % len(_TABLES)]
    generation = number // len(_TABLES)
    column = "owner_id" if generation == 0 else f"attribute_{generation}"
    return Subject(shape, table, rows, other, other_rows, column)


def statement_kind(statement: int) -> str:
    """`SELECT` or `UPDATE`."""
    return _TEXTS[statement % _SHAPES].partition(" ")[0]


def sql_text(statement: int) -> str:
    """The text; it holds parameters and no literal."""
    about = subject(statement)
    return _TEXTS[about.shape].format(table=about.table, other=about.other, column=about.column)


def statement_text(statement: int) -> StatementText:
    """The text as a reader gives it."""
    return StatementText(query_hash(statement), sql_text(statement), statement_kind(statement))
