"""Figures of a simulated database, taken from its truth."""

import re
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.statements.tsql_reading import why_not_reading
from dbplanmon_pipeline.errors import FeatureUnavailable, StatementRefused
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory, TrueWork

WINDOW = timedelta(hours=1)
FIGURES = ("executions", "elapsed_seconds", "cpu_seconds", "reads_pages")


def figures_of(history: DatabaseHistory, wanted: KpiStatement, now: datetime, target: str) -> KpiRow:
    """One row with the figures that a statement, or the name of a procedure, mentions: work of the last hour.

    Raises:
        StatementRefused: the statement does not only read.
        FeatureUnavailable: it mentions none of `FIGURES`.
    """
    if wanted.sql is not None and (reason := why_not_reading(wanted.sql)):
        raise StatementRefused(f"refused: {reason}", target=target, remedy="Write one SELECT.")
    words = re.findall(r"\w+", (wanted.sql or wanted.procedure or "").lower())
    named = tuple(dict.fromkeys(word for word in words if word in FIGURES))
    if not named:
        raise FeatureUnavailable(
            "a simulated database knows no such figure", target=target, remedy=f"There are: {', '.join(FIGURES)}."
        )
    truth = history.truth(now - WINDOW, now)
    return KpiRow(named, tuple(sum(_figure(work, name) for work in truth.values()) for name in named), 1)


def _figure(work: TrueWork, name: str) -> float:
    return {
        "executions": float(work.executions),
        "elapsed_seconds": work.elapsed_us / 1e6,
        "cpu_seconds": work.worker_us / 1e6,
        "reads_pages": float(work.reads_pages),
    }[name]
