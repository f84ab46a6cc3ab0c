"""Views of a whole simulated server at one moment: its databases, settings, start and plan cache."""

from collections.abc import Callable
from datetime import datetime

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.plan_cache import OUTERMOST, TOTALS
from dbplanmon_pipeline.providers.simulated.faults import PLANS
from dbplanmon_pipeline.providers.simulated.provider import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.statements import plan_hash, query_hash
from dbplanmon_pipeline_tests.support.simulated_values import (
    Row,
    database_id,
    handle_of,
    hash_bytes,
    parameterised,
    plan_text,
)

SYSTEM_DATABASES = ("master",)
_CACHE_METRICS = {
    "execution_count": "execution_count",
    "elapsed_time_us": "total_elapsed_time",
    "worker_time_us": "total_worker_time",
    "logical_reads_pages": "total_logical_reads",
    "logical_writes_pages": "total_logical_writes",
    "physical_reads_pages": "total_physical_reads",
    "rows": "total_rows",
    "spill_pages": "total_spills",
    "elapsed_time_us_min": "min_elapsed_time",
    "elapsed_time_us_max": "max_elapsed_time",
    "worker_time_us_min": "min_worker_time",
    "worker_time_us_max": "max_worker_time",
    "memory_grant_kb_max": "max_grant_kb",
    "dop_max": "max_dop",
}


class ServerViews:
    """Rows of each view, the same whichever database asks."""

    def __init__(self, provider: SimulatedProvider, now: datetime) -> None:
        self._provider = provider
        self._now = now
        self._now_us = epoch_us(now)
        self.makers: dict[str, Callable[[], list[Row]]] = {
            "sys.databases": self._databases,
            "sys.configurations": self._configurations,
            "sys.dm_os_sys_info": self._server,
            "sys.dm_exec_query_stats": self._cached,
            "sys.dm_exec_plan_attributes": self._attributes,
            "sys.dm_exec_sql_text": self._cached_texts,
            "sys.dm_exec_text_query_plan": self._cached_plans,
            "sys.dm_exec_query_plan": self._cached_plans,
        }

    def _databases(self) -> list[Row]:
        return [
            {
                "name": name,
                "database_id": database_id(self._provider, name),
                "create_date": datetime(2020, 1, 1),  # noqa: DTZ001 - the view has no time zone
                "compatibility_level": self._provider.version.compatibility_level,
                "state": 0,
                "is_read_only": False,
                "is_query_store_on": self._provider.has_query_store,
                "is_auto_create_stats_on": True,
                "is_auto_update_stats_on": True,
            }
            for name in (*SYSTEM_DATABASES, *self._provider.databases())
        ]

    def _configurations(self) -> list[Row]:
        settings = {"max degree of parallelism": "8", "cost threshold for parallelism": "50"}
        return [{"name": name, "value_in_use": value} for name, value in settings.items()]

    def _server(self) -> list[Row]:
        histories = [self._provider.history(name) for name in self._provider.databases()]
        started = max((history.server_started_us(self._now) or 0 for history in histories), default=0) or None
        begun = self._now_us if started is None else started
        return [
            {
                "ms_ticks": (self._now_us - begun) // 1_000 + 5_000,
                "sqlserver_start_time_ms_ticks": 5_000,
                "sqlserver_start_time": from_epoch_us(begun),
            }
        ]

    def _cached(self) -> list[Row]:
        return [row for name in self._provider.databases() for row in self._cached_of(name)]

    def _cached_of(self, database: str) -> list[Row]:
        cached = self._provider.history(database).plan_cache(self._now)
        names = [_CACHE_METRICS[name] for name in (*TOTALS, *OUTERMOST)]
        figures = np.hstack([cached.totals, cached.extrema])
        return [
            {
                "plan_handle": handle_of(database, query, plan),
                "sql_handle": handle_of(database, query, 0),
                "statement_start_offset": 0,
                "statement_end_offset": -1,
                "creation_time": from_epoch_us(self._now_us - age_us),
                "last_execution_time": self._now,
                "query_hash": hash_bytes(query),
                "query_plan_hash": hash_bytes(plan),
                **{name: int(value) for name, value in zip(names, values, strict=True)},
            }
            for query, plan, age_us, values in zip(
                cached.query_hash.tolist(),
                cached.plan_hash.tolist(),
                cached.age_us.tolist(),
                figures.tolist(),
                strict=True,
            )
        ]

    def _each_cached(self) -> list[tuple[str, int, int, bytes]]:
        """Database, statement, plan and handle of every plan in the cache of the server."""
        found = []
        for name in self._provider.databases():
            cached = self._provider.history(name).plan_cache(self._now)
            for query, plan in zip(cached.query_hash.tolist(), cached.plan_hash.tolist(), strict=True):
                number = self._provider.number(query)
                assert number is not None
                found.append((name, number, plan, handle_of(name, query, plan)))
        return found

    def _attributes(self) -> list[Row]:
        return [
            {"plan_handle": handle, "attribute": "dbid", "value": str(database_id(self._provider, name))}
            for name, _, _, handle in self._each_cached()
        ]

    def _cached_texts(self) -> list[Row]:
        return [
            {"sql_handle": one, "text": parameterised(statement)}
            for name, statement, _, handle in self._each_cached()
            for one in {handle, handle_of(name, query_hash(statement), 0)}
        ]

    def _cached_plans(self) -> list[Row]:
        return [
            {
                "plan_handle": handle,
                "statement_start_offset": 0,
                "statement_end_offset": -1,
                "query_plan": plan_text(self._provider, name, self._now, statement, _number(statement, wanted)),
            }
            for name, statement, wanted, handle in self._each_cached()
        ]


def _number(statement: int, wanted: int) -> int:
    """Of a plan, by its hash."""
    return next(plan for plan in range(PLANS) if plan_hash(statement, plan) == wanted)
