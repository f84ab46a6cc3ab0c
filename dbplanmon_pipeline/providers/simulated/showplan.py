"""A showplan document around a tree of operators."""

from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, tostring

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.providers.simulated.operators import DATABASE, Operator, element_of, made
from dbplanmon_pipeline.providers.simulated.statements import Subject

NAMESPACE = "http://schemas.microsoft.com/sqlserver/2004/07/showplan"
_OPTIONS = ("ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS", "ARITHABORT", "CONCAT_NULL_YIELDS_NULL", "QUOTED_IDENTIFIER")
_MEMORY_GRANT_KB = 65_536


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics the optimizer looked at: rows modified since, and the share [percent] that was sampled."""

    table: str
    name: str
    last_update: datetime
    modifications: int
    sampling_percent: float


def showplan_text(
    *,
    text: str,
    kind: str,
    query_hash: int,
    plan_hash: int,
    root: Operator,
    statistics: tuple[Statistics, ...],
    about: Subject,
    misses_index: bool,
) -> str:
    """The document of one statement with its estimated plan; parameters have no values."""
    statement = made(
        "StmtSimple",
        made("StatementSetOptions", **dict.fromkeys(_OPTIONS, True), NUMERIC_ROUNDABORT=False),
        _query_plan(root, statistics, about, misses_index=misses_index),
        StatementCompId=1,
        StatementEstRows=root.rows,
        StatementId=1,
        StatementOptmLevel="FULL",
        CardinalityEstimationModelVersion="160",
        StatementSubTreeCost=root.cost,
        StatementText=f"({', '.join(f'{name} bigint' for name in about.parameters)}){text}",
        StatementType=kind,
        QueryHash=f"0x{hash_text(query_hash).upper()}",
        QueryPlanHash=f"0x{hash_text(plan_hash).upper()}",
        RetrievedFromCache="true",
        SecurityPolicyApplied=False,
    )
    batch = made("BatchSequence", made("Batch", made("Statements", statement)))
    document = made("ShowPlanXML", batch, xmlns=NAMESPACE, Version="1.539", Build="16.0.4085.2")
    return tostring(document, encoding="unicode")


def _query_plan(root: Operator, statistics: tuple[Statistics, ...], about: Subject, *, misses_index: bool) -> Element:
    parts = [_missing_index(about)] if misses_index else []
    parts += [
        _memory(root),
        _hardware(),
        made("OptimizerStatsUsage", *map(_statistics, statistics)),
        element_of(root, []),
        made(
            "ParameterList",
            *(made("ColumnReference", Column=name, ParameterDataType="bigint") for name in about.parameters),
        ),
    ]
    reason = {} if _parallel(root) else {"NonParallelPlanReason": "EstimatedDOPIsOne"}
    return made("QueryPlan", *parts, CachedPlanSize=48, CompileTime=3, CompileCPU=3, CompileMemory=520, **reason)


def _parallel(operator: Operator) -> bool:
    return operator.parallel or any(_parallel(child) for child in operator.children)


def _memory(root: Operator) -> Element:
    wanted = _MEMORY_GRANT_KB if _parallel(root) else 1_024
    return made("MemoryGrantInfo", SerialRequiredMemory=512, SerialDesiredMemory=wanted)


def _hardware() -> Element:
    return made(
        "OptimizerHardwareDependentProperties",
        EstimatedAvailableMemoryGrant=417_021,
        EstimatedPagesCached=208_510,
        EstimatedAvailableDegreeOfParallelism=4,
        MaxCompileMemory=8_106_344,
    )


def _statistics(found: Statistics) -> Element:
    return made(
        "StatisticsInfo",
        Database=f"[{DATABASE}]",
        Schema="[dbo]",
        Table=f"[{found.table}]",
        Statistics=f"[{found.name}]",
        ModificationCount=found.modifications,
        SamplingPercent=found.sampling_percent,
        LastUpdate=f"{found.last_update:%Y-%m-%dT%H:%M:%S.%f}"[:-4],
    )


def _missing_index(about: Subject) -> Element:
    included = ("status", "amount") if about.shape in (0, 3) else ("amount", "changed_at")
    groups = [
        made("ColumnGroup", made("Column", Name=f"[{about.column}]", ColumnId=4), Usage="EQUALITY"),
        made(
            "ColumnGroup",
            *(made("Column", Name=f"[{name}]", ColumnId=5 + place) for place, name in enumerate(included)),
            Usage="INCLUDE",
        ),
    ]
    index = made("MissingIndex", *groups, Database=f"[{DATABASE}]", Schema="[dbo]", Table=f"[{about.table}]")
    return made("MissingIndexes", made("MissingIndexGroup", index, Impact=98.7))
