"""Statistics that are old, sampled thinly or not there."""

from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.context import stale_rows
from dbplanmon_pipeline.core.plans.differences import figure
from dbplanmon_pipeline.core.plans.findings.model import SQLSERVER, Found, Measure, Rule, Weight, rows, rule
from dbplanmon_pipeline.core.plans.findings.view import StatementView
from dbplanmon_pipeline.core.plans.statistics_used import statistics_used
from dbplanmon_pipeline.core.sqlnames import quote_name, quote_path


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
            path = ".".join(_quoted(part) for part in (use.schema, use.relation) if part)
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
    told = [one.detail for one in view.statement.warnings if one.kind == "ColumnsWithNoStatistics" and one.detail]
    columns = list(dict.fromkeys(name for detail in told for name in detail.split(", ")))
    if columns:
        more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
        text = f"there are no statistics on {', '.join(columns[:3])}{more}, so rows are guessed"
        measures = (Measure("columns", float(len(columns)), "columns"),)
        weight = Weight.MEDIUM if view.matters else Weight.LOW
        yield Found(text, share=0.5, measures=measures, subject=", ".join(columns), weight=weight)


def _quoted(name: str) -> str:
    return quote_name(name, Engine.SQLSERVER)


RULES: tuple[Rule, ...] = (stale_statistics, missing_statistics)
