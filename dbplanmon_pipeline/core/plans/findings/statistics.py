"""Statistics that are old, sampled thinly or not there."""

from collections.abc import Iterable, Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.context import stale_rows
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.model import SQLSERVER, Found, Measure, Rule, Weight, rows, rule
from dbplanmon_pipeline.core.plans.findings.view import StatementView
from dbplanmon_pipeline.core.plans.showplan.statistics_used import statistics_used
from dbplanmon_pipeline.core.plans.tree import PlanColumn
from dbplanmon_pipeline.core.sqlnames import quote_name, quote_path

MOST_NAMES = 3
LONGEST_NAME = 128


@rule(
    "stale-statistics",
    "Statistics older than the data",
    "Update them, and see why it does not happen by itself: AUTO_UPDATE_STATISTICS, or the autovacuum settings of the "
    "table.",
)
def stale_statistics(view: StatementView) -> Iterator[Found]:
    """Statistics that the optimizer used although many rows changed since."""
    if not view.matters:
        return
    if view.engine == Engine.POSTGRES:
        yield from _of_context(view)
        return
    for use in statistics_used(view.statement).values():
        if use.is_stale and not use.relation.startswith(("#", "@")):
            text = (
                f"{figure(use.modifications)} rows of {use.table} changed since its statistics {use.name} were taken "
                f"({use.moment})"
            )
            path = _path(use.schema, use.relation)
            script = f"UPDATE STATISTICS {path} {_quoted(use.name)};" if path and use.name else ""
            measures = (rows("rows_changed", use.modifications),)
            yield Found(
                text,
                share=0.5,
                measures=measures,
                subject=f"{use.table} {use.name}",
                script=script,
                weight=Weight.MEDIUM,
            )
    yield from _warned_of(view)


def _warned_of(view: StatementView) -> Iterator[Found]:
    """The engine's own warning, which names columns and no statistics."""
    for (schema, relation), columns in _by_table(_columns(view, "ColumnsWithStaleStatistics")).items():
        table = ".".join(part for part in (schema, relation) if part)
        names = _listed([f"{table}.{column.name}" for column in columns])
        script = f"UPDATE STATISTICS {_path(schema, relation)};"
        yield Found(
            f"the server itself calls the statistics on {names} stale",
            share=0.5,
            measures=(Measure("columns", float(len(columns)), "columns"),),
            subject=table,
            script=script,
            weight=Weight.MEDIUM,
        )


def _of_context(view: StatementView) -> Iterator[Found]:
    """PostgreSQL does not write statistics into its plans; what was read beside the plan tells."""
    tables = view.context.get("tables")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        changed = stale_rows(table)
        if changed:
            text = f"{figure(changed)} rows of {name} changed since its statistics were taken"
            script = f"ANALYZE {quote_path(name, Engine.POSTGRES)};"
            yield Found(
                text,
                share=0.5,
                measures=(rows("rows_changed", changed),),
                subject=name,
                script=script,
                weight=Weight.MEDIUM,
            )


@rule(
    "missing-statistics",
    "Columns without statistics",
    "Turn AUTO_CREATE_STATISTICS on, or create them by hand: read-only databases, and linked or external tables get "
    "none by themselves.",
    SQLSERVER,
)
def missing_statistics(view: StatementView) -> Iterator[Found]:
    """The engine's own warning."""
    columns = _columns(view, "ColumnsWithNoStatistics")
    if columns:
        names = [f"{column.relation}.{column.name}".lstrip(".") for column in columns]
        text = f"there are no statistics on {_listed(names)}, so rows are guessed"
        measures = (Measure("columns", float(len(columns)), "columns"),)
        weight = Weight.MEDIUM if view.matters else Weight.LOW
        script = "\n".join(
            f"CREATE STATISTICS {_quoted(_statistics_name(column))} ON {_path(*table)} ({_quoted(column.name)});"
            for table, parts in _by_table(columns).items()
            for column in parts
        )
        yield Found(text, share=0.5, measures=measures, subject=", ".join(names), script=script, weight=weight)


def _columns(view: StatementView, kind: str) -> list[PlanColumn]:
    """Columns that warnings of this kind name, each once."""
    told = (column for one in view.statement.warnings if one.kind == kind for column in one.columns)
    return [column for column in dict.fromkeys(told) if column.name]


def _by_table(columns: Iterable[PlanColumn]) -> dict[tuple[str, str], list[PlanColumn]]:
    """Columns of tables whose statistics can be made or updated from here: lasting ones, of this server."""
    tables: dict[tuple[str, str], list[PlanColumn]] = {}
    for column in columns:
        if column.relation and not column.server and not column.relation.startswith(("#", "@")):
            tables.setdefault((column.schema, column.relation), []).append(column)
    return tables


def _statistics_name(column: PlanColumn) -> str:
    return f"ST_{column.relation}_{column.name}"[:LONGEST_NAME]


def _listed(names: list[str]) -> str:
    """The first three, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"


def _path(schema: str, relation: str) -> str:
    return ".".join(_quoted(part) for part in (schema, relation) if part)


def _quoted(name: str) -> str:
    return quote_name(name, Engine.SQLSERVER)


RULES: tuple[Rule, ...] = (stale_statistics, missing_statistics)
