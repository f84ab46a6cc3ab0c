"""Plans of the simulated statements as showplan XML: what the optimizer would have chosen, costs and all."""

from collections.abc import Callable
from functools import lru_cache

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.providers.simulated.faults import HARMLESS_PLAN, REGRESSED_PLAN
from dbplanmon_pipeline.providers.simulated.indexes import context_of
from dbplanmon_pipeline.providers.simulated.operators import (
    Operator,
    clustered_scan,
    clustered_seek,
    gather_streams,
    hash_aggregate,
    hash_join,
    index_seek,
    key_lookup,
    nested_loops,
    sort,
    stream_aggregate,
    top,
    top_sort,
    update,
)
from dbplanmon_pipeline.providers.simulated.showplan import Statistics, showplan_text
from dbplanmon_pipeline.providers.simulated.statements import (
    Subject,
    plan_hash,
    query_hash,
    sql_text,
    statement_kind,
    subject,
)

_DAY_US = 86_400_000_000
_STATISTICS_AGE_DAYS = 9
_SAMPLED_UPDATE, _FULL_UPDATE = 0.4, 100.0


def captured_plan(statement: int, plan: int, compiled_us: int, refreshed_us: int | None = None) -> CapturedPlan:
    """One of the plans, as Query Store keeps it: estimates only.

    Args:
        statement: its number.
        plan: its number.
        compiled_us: when it was last compiled [epoch microseconds].
        refreshed_us: when an update of statistics came shortly before; None for one long ago.
    """
    return CapturedPlan(
        query_hash=query_hash(statement),
        plan_hash=plan_hash(statement, plan),
        format="showplan",
        body=plan_text(statement, plan, compiled_us, refreshed_us),
        origin="estimated",
        context={"engine": "simulated", **context_of(subject(statement))},
    )


@lru_cache(maxsize=4096)
def plan_text(statement: int, plan: int, compiled_us: int, refreshed_us: int | None) -> str:
    """The XML; the same for every database, which it names `shop`."""
    about = subject(statement)
    return showplan_text(
        text=sql_text(statement),
        kind=statement_kind(statement),
        query_hash=query_hash(statement),
        plan_hash=plan_hash(statement, plan),
        root=_ROOTS[about.shape](about, plan),
        statistics=_statistics(about, plan, compiled_us, refreshed_us),
        about=about,
        misses_index=plan == REGRESSED_PLAN,
    )


def _statistics(about: Subject, plan: int, compiled_us: int, refreshed_us: int | None) -> tuple[Statistics, ...]:
    long_ago = compiled_us - _STATISTICS_AGE_DAYS * _DAY_US
    moment = from_epoch_us(long_ago if refreshed_us is None else refreshed_us)
    sampling = _FULL_UPDATE if refreshed_us is None else _SAMPLED_UPDATE
    index = f"PK_{about.table}" if plan == REGRESSED_PLAN else f"ix_{about.table}_{about.column}"
    found = [
        Statistics(about.table, f"ix_{about.table}_{about.column}", moment, 0, sampling),
        Statistics(about.table, index, from_epoch_us(long_ago), 120, _FULL_UPDATE),
    ]
    return tuple({one.name: one for one in reversed(found)}.values())


def _access(about: Subject, plan: int, *, covering: bool = True) -> Operator:
    """How the table of the statement is read in this plan."""
    if plan == REGRESSED_PLAN:
        return clustered_scan(about)
    if covering:
        name = f"ix_{about.table}_{about.column}"
        return index_seek(about, name if plan == HARMLESS_PLAN else f"{name}_changed_at")
    if plan == HARMLESS_PLAN:
        return index_seek(about, f"ix_{about.table}_{about.column}_changed_at")
    return nested_loops(index_seek(about, f"ix_{about.table}_{about.column}"), key_lookup(about))


def _lookup(about: Subject, plan: int) -> Operator:
    source = _access(about, plan, covering=False)
    return gather_streams(source) if plan == REGRESSED_PLAN else source


def _newest(about: Subject, plan: int) -> Operator:
    source = _access(about, plan)
    if plan == REGRESSED_PLAN:
        return top(gather_streams(top_sort(source, "t", "changed_at")))
    return top_sort(source, "t", "changed_at") if plan == HARMLESS_PLAN else top(source)


def _join(about: Subject, plan: int) -> Operator:
    outer = _access(about, plan)
    if plan != REGRESSED_PLAN:
        return nested_loops(outer, clustered_seek(about))
    return gather_streams(hash_join(outer, clustered_scan(about, other=True), about))


def _totals(about: Subject, plan: int) -> Operator:
    source = _access(about, plan)
    if plan == REGRESSED_PLAN:
        return gather_streams(hash_aggregate(source))
    return hash_aggregate(source) if plan == HARMLESS_PLAN else stream_aggregate(sort(source, "t", "status"))


def _change(about: Subject, plan: int) -> Operator:
    return update(_access(about, plan), about)


_ROOTS: tuple[Callable[[Subject, int], Operator], ...] = (_lookup, _newest, _join, _totals, _change)
