"""Statistics the optimizer looked at when it compiled a showplan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dbplanmon_pipeline.core.plans.comparing.context import STALE_ROWS, STALE_SHARE
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of, plain_name
from dbplanmon_pipeline.core.plans.tree import PlanStatement

FULL_SAMPLE = 100.0


@dataclass(frozen=True, slots=True)
class StatisticsUse:
    """One statistics object at compile time.

    Attributes:
        schema / relation / name: what it is and on which table.
        last_update: ISO text in the time of the server, empty where never.
        modifications: rows changed since then [count].
        sampling_percent: share of the rows it was made from [0-100]; None unknown.
        table_rows: rows of the table as the plan knows them [count]; None unknown.
    """

    schema: str
    relation: str
    name: str
    last_update: str
    modifications: float
    sampling_percent: float | None
    table_rows: float | None

    @property
    def table(self) -> str:
        """`dbo.Orders`."""
        return f"{self.schema}.{self.relation}" if self.schema else self.relation

    @property
    def is_stale(self) -> bool:
        """So many rows changed since the last update that estimates may mislead."""
        return self.modifications >= max(STALE_ROWS, STALE_SHARE * (self.table_rows or 0.0))

    @property
    def is_sampled(self) -> bool:
        """Made from a part of the rows only."""
        return self.sampling_percent is not None and self.sampling_percent < FULL_SAMPLE

    @property
    def sample_words(self) -> str:
        """`a sample of 0.86 %`, `all rows`, or nothing where unknown."""
        if self.sampling_percent is None:
            return ""
        return f"a sample of {self.sampling_percent:.2g} %" if self.is_sampled else "all rows"

    @property
    def moment(self) -> str:
        """`2021-11-01 12:43:20`; `never`."""
        return self.last_update[:19].replace("T", " ") or "never"


def statistics_used(statement: PlanStatement) -> dict[tuple[str, str], StatisticsUse]:
    """Statistics of the plan of one statement by (table, name); empty for engines and versions that do not tell."""
    rows = dict(_table_rows(statement))
    entries = statement.attributes.get("OptimizerStatsUsage", ())
    used = [_use(entry, rows) for entry in entries]
    return {(use.table, use.name): use for use in used}


def _use(entry: Mapping[str, str], rows: Mapping[str, float]) -> StatisticsUse:
    relation = plain_name(entry.get("Table", ""))
    return StatisticsUse(
        schema=plain_name(entry.get("Schema", "")),
        relation=relation,
        name=plain_name(entry.get("Statistics", "")),
        last_update=entry.get("LastUpdate", ""),
        modifications=figure_of(entry.get("ModificationCount")) or 0.0,
        sampling_percent=figure_of(entry.get("SamplingPercent")),
        table_rows=rows.get(relation),
    )


def _table_rows(statement: PlanStatement) -> Iterator[tuple[str, float]]:
    for operator in statement.operators():
        rows = figure_of(operator.attributes.get("TableCardinality"))
        if operator.relation and rows is not None:
            yield operator.relation, rows
