"""Rows with one key (database, query, plan, interval start) that arrive at different times add up.

A repeated reading never gets this far, since `record` refuses it. A row that meets its key is more work of the same
interval, which the engine told late. The rules are those of `core/readings/merging.py`, in SQL and on columns.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Dialect

from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.store.intervals.days import HOUR_EXPRESSION

Arrays = Mapping[str, "NDArray[Any]"]

KEY = ("database_id", "query_hash", "plan_hash", "interval_start_us")


def add_on_conflict(dialect: Dialect, table: str) -> str:
    """The `ON CONFLICT` clause of a day table."""
    terms = [f'"interval_end_us" = {_latest(dialect, table)}']
    terms += [f'"{name}" = {_sum(name, table)}' for name in COUNTERS]
    terms += [f'"{name}" = {_outermost(dialect, name, table)}' for name in EXTREMA]
    either = "max({0}, excluded.{1})" if dialect.name == "sqlite" else "({0} OR excluded.{1})"
    terms.append(f'"counter_reset" = {either.format(f"{table}.counter_reset", "counter_reset")}')
    return f"ON CONFLICT ({HOUR_EXPRESSION}, {', '.join(KEY)}) DO UPDATE SET {', '.join(terms)}"


def _latest(dialect: Dialect, table: str) -> str:
    later = "max" if dialect.name == "sqlite" else "greatest"
    return f"{later}({table}.interval_end_us, excluded.interval_end_us)"


def _sum(name: str, table: str) -> str:
    both = f'{table}."{name}" + excluded."{name}"'
    return both if name.endswith("_sumsq") else f'coalesce({both}, {table}."{name}", excluded."{name}")'


def _outermost(dialect: Dialect, name: str, table: str) -> str:
    """Unknown as soon as one of both is."""
    old, new = f'{table}."{name}"', f'excluded."{name}"'
    lesser = name.endswith("_min")
    if dialect.name == "sqlite":
        return f"{'min' if lesser else 'max'}({old}, {new})"
    # GREATEST and LEAST of PostgreSQL leave NULL out.
    return f"CASE WHEN {old} {'<' if lesser else '>'} {new} THEN {old} WHEN {old} IS NOT NULL THEN {new} END"


def add_equal_keys(columns: Arrays) -> Arrays:
    """One row per key, sorted by it, from the key columns, `interval_end_us` and any metrics; no copy where all differ.

    The key columns are int64, metrics float64 with NaN for unknown, `counter_reset` bool.
    """
    order = np.lexsort([columns[name] for name in reversed(KEY)])
    fresh = np.zeros(len(order), bool)
    fresh[:1] = True
    for name in KEY:
        fresh[1:] |= np.diff(columns[name][order].view(np.int64)) != 0
    if fresh.all():
        return columns
    begins = np.flatnonzero(fresh)
    return {name: _added(name, column[order], begins) for name, column in columns.items()}


def _added(name: str, column: "NDArray[Any]", begins: "NDArray[np.intp]") -> "NDArray[Any]":
    if name in KEY:
        return column[begins]
    if name == "counter_reset":
        return np.asarray(np.logical_or.reduceat(column, begins))
    if name in COUNTERS and not name.endswith("_sumsq"):
        sums = np.add.reduceat(np.nan_to_num(column, nan=0.0), begins)
        sums[np.logical_and.reduceat(np.isnan(column), begins)] = np.nan
        return np.asarray(sums)
    # Of floats each of these is NaN as soon as one of them is.
    together = np.add if name.endswith("_sumsq") else np.minimum if name.endswith("_min") else np.maximum
    return np.asarray(together.reduceat(column, begins))
