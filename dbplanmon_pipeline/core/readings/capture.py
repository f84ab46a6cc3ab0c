"""What of one reading is kept, and which texts and plans are worth asking for."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.ports import KnownStatement, StatementKey
from dbplanmon_pipeline.core.readings.counters import (
    COUNTERS,
    ELAPSED,
    EXECUTIONS,
    READS,
    WORKER,
    CounterReading,
    IntervalRows,
    Longs,
)
from dbplanmon_pipeline.core.readings.merging import join_rows, merge_equal_keys, take_rows

OTHER_STATEMENTS = 0x6F74686572730001
"""Query hash of the row that gathers all work not kept by itself; fixed, it is written into stores and archives."""

DEAR_ELAPSED_US = 1_000_000.0
"""A statement that took this long in one interval is kept however seldom it ran."""

_RANKED_BY = (ELAPSED, WORKER, READS, EXECUTIONS)
_FAILED = [COUNTERS.index("aborted_count"), COUNTERS.index("exception_count")]
_LEEWAY = 0.9
_NEVER = datetime.min.replace(tzinfo=UTC)

_Flags = NDArray[np.bool_]


def select_rows(rows: IntervalRows, *, top_n: int, min_executions: int) -> IntervalRows:
    """Keep the statements that matter and sum the rest, so that totals stay true.

    Kept with all their plans and intervals are the `top_n` statements by elapsed time, by CPU, by reads and by
    executions, of those that ran at least `min_executions` times or took at least a second. Executions that failed
    count as such: a statement that only fails any more is the last one to lose sight of. The rest becomes one row per
    interval under OTHER_STATEMENTS with plan_hash 0.

    Args:
        rows: work between two readings of one database.
        top_n: statements kept per measure.
        min_executions: fewer executions than this are kept only when they were dear [count].
    """
    if not len(rows):
        return rows
    statements, member = np.unique(rows.query_hash, return_inverse=True)
    totals = np.zeros((len(statements), len(_RANKED_BY)))
    np.add.at(totals, member, np.nan_to_num(rows.values[:, _RANKED_BY]))
    np.add.at(totals[:, _RANKED_BY.index(EXECUTIONS)], member, np.nan_to_num(rows.values[:, _FAILED]).sum(axis=1))
    kept = _top(totals, top_n) & _counts(totals, min_executions)
    kept |= statements == OTHER_STATEMENTS
    stays = kept[member]
    return rows if stays.all() else _with_rest_summed(rows, stays)


def wanted_texts(
    reading: CounterReading, rows: IntervalRows, known: Mapping[int, KnownStatement], *, limit: int
) -> list[StatementKey]:
    """Statements in the rows whose text is not stored yet, dearest by elapsed time first, at most `limit`."""
    missing = {
        query for query in rows.query_hash.tolist() if query != OTHER_STATEMENTS and not _has_text(known.get(query))
    }
    if not missing:
        return []
    cost = _cost_by(rows.query_hash, rows)
    chosen = sorted(missing, key=lambda query: (-cost[query], query))[:limit]
    return _keys_of_queries(reading, chosen)


def wanted_plans(
    reading: CounterReading,
    rows: IntervalRows,
    known: Mapping[int, KnownStatement],
    known_plans: frozenset[int],
    *,
    now: datetime,
    limit: int,
    recheck_after: timedelta,
) -> list[StatementKey]:
    """Plans worth asking the target for, at most `limit`, the most telling first.

    Where counters name their plan, those whose body is not stored, dearest by elapsed time first. Where they do not,
    statements never looked at, dearest first; then those last looked at longer than `recheck_after` ago, in turns the
    dearest of this interval and the longest unchecked, so that neither a cheap statement nor a dear one starves.

    Args:
        reading: gives the counter keys.
        rows: the kept rows of this reading.
        known: statements of the store by query hash.
        known_plans: plan hashes whose body is stored.
        now: aware UTC.
        limit: how many to ask for.
        recheck_after: age from which a look at a plan counts as old, less a tenth, as ticks are never quite even.
    """
    named = rows.plan_hash != 0
    new_plans = _unstored_plans(reading, rows, named, known_plans)
    unnamed = sorted({query for query in rows.query_hash[~named].tolist() if query != OTHER_STATEMENTS})
    cost = _cost_by(rows.query_hash, rows) if unnamed else {}
    order = _looks(unnamed, cost, known, now - recheck_after * _LEEWAY)
    return (new_plans + _keys_of_queries(reading, order[: max(0, limit)]))[: max(0, limit)]


def attribute_plans(
    rows: IntervalRows, known: Mapping[int, KnownStatement], captured: Sequence[CapturedPlan]
) -> IntervalRows:
    """Rows without a plan get the one just captured for their statement, else the one known from the last look.

    A plan that flipped within the interval gets the whole interval: such counters do not tell its parts.
    """
    plan_of = {query: statement.plan_hash for query, statement in known.items()}
    plan_of |= {plan.query_hash: plan.plan_hash for plan in captured if plan.plan_hash}
    pairs = zip(rows.query_hash.tolist(), rows.plan_hash.tolist(), strict=True)
    plans = [plan or plan_of.get(query, 0) for query, plan in pairs]
    return merge_equal_keys(
        IntervalRows(
            rows.query_hash,
            np.array(plans, dtype=np.int64),
            rows.interval_start_us,
            rows.interval_end_us,
            rows.values,
            rows.extrema,
            rows.counter_reset,
        )
    )


def _top(totals: NDArray[np.float64], top_n: int) -> _Flags:
    """Union over the measures of the `top_n` statements that have any of it; equal ones by position."""
    best = np.zeros(len(totals), dtype=np.bool_)
    for column in range(totals.shape[1]):
        order = np.argsort(-totals[:, column], kind="stable")[: max(0, top_n)]
        best[order[totals[order, column] > 0]] = True
    return best


def _counts(totals: NDArray[np.float64], min_executions: int) -> _Flags:
    often = totals[:, _RANKED_BY.index(EXECUTIONS)] >= min_executions
    dear = totals[:, _RANKED_BY.index(ELAPSED)] >= DEAR_ELAPSED_US
    flags: _Flags = often | dear
    return flags


def _with_rest_summed(rows: IntervalRows, stays: _Flags) -> IntervalRows:
    rest = take_rows(rows, np.flatnonzero(~stays))
    gathered = IntervalRows(
        np.full(len(rest), OTHER_STATEMENTS, dtype=np.int64),
        np.zeros(len(rest), dtype=np.int64),
        rest.interval_start_us,
        rest.interval_end_us,
        rest.values,
        rest.extrema,
        rest.counter_reset,
    )
    return merge_equal_keys(join_rows([take_rows(rows, np.flatnonzero(stays)), gathered]))


def _has_text(statement: KnownStatement | None) -> bool:
    return statement is not None and statement.has_text


def _cost_by(hashes: Longs, rows: IntervalRows) -> dict[int, float]:
    """Elapsed time of the rows [microseconds] per hash."""
    cost: dict[int, float] = {}
    for key, elapsed in zip(hashes.tolist(), np.nan_to_num(rows.values[:, ELAPSED]).tolist(), strict=True):
        cost[key] = cost.get(key, 0.0) + elapsed
    return cost


def _unstored_plans(
    reading: CounterReading, rows: IntervalRows, named: _Flags, known_plans: frozenset[int]
) -> list[StatementKey]:
    missing = {plan for plan in rows.plan_hash[named].tolist() if plan not in known_plans}
    if not missing:
        return []
    cost = _cost_by(rows.plan_hash, rows)
    place = _first_places(reading.plan_hash, missing)
    order = sorted(place, key=lambda plan: (-cost[plan], plan))
    return [StatementKey(int(reading.query_hash[place[plan]]), plan, reading.keys[place[plan]]) for plan in order]


def _looks(
    queries: Sequence[int], cost: Mapping[int, float], known: Mapping[int, KnownStatement], before: datetime
) -> list[int]:
    """The order in which to look at the plans of these statements."""
    checked = {query: known[query].plan_checked_at or _NEVER if query in known else _NEVER for query in queries}
    dearest = sorted(queries, key=lambda query: (-cost[query], query))
    due = [query for query in dearest if _NEVER < checked[query] <= before]
    oldest = sorted(due, key=lambda query: (checked[query], -cost[query], query))
    turns = [query for pair in zip(due, oldest, strict=True) for query in pair]
    return [*(query for query in dearest if checked[query] == _NEVER), *dict.fromkeys(turns)]


def _keys_of_queries(reading: CounterReading, queries: Sequence[int]) -> list[StatementKey]:
    place = _first_places(reading.query_hash, set(queries))
    return [
        StatementKey(query, int(reading.plan_hash[place[query]]), reading.keys[place[query]])
        for query in queries
        if query in place
    ]


def _first_places(hashes: Longs, wanted: set[int]) -> dict[int, int]:
    """Where each wanted hash first stands."""
    places: dict[int, int] = {}
    if not wanted:
        return places
    for position, value in enumerate(hashes.tolist()):
        if value in wanted:
            places.setdefault(value, position)
    return places
