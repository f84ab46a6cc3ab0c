"""Views of Query Store of one simulated database at one moment."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.query_store import AVERAGES, DEVIATIONS, MAXIMA, MINIMA
from dbplanmon_pipeline.providers.simulated.facts import (
    ADVICE_SCORE,
    AUTOMATIC_TUNING,
    FORCING_FAILED,
    LARGEST_MB,
    USED_MB,
    advised_statements,
    forced_plans,
)
from dbplanmon_pipeline.providers.simulated.faults import NORMAL_PLAN, REGRESSED_PLAN
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory
from dbplanmon_pipeline.providers.simulated.provider import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.statements import query_hash
from dbplanmon_pipeline_tests.support.simulated_values import Row, database_id, hash_bytes, parameterised, plan_text

_METRICS = {
    "elapsed_time_us": "duration",
    "worker_time_us": "cpu_time",
    "logical_reads_pages": "logical_io_reads",
    "logical_writes_pages": "logical_io_writes",
    "physical_reads_pages": "physical_io_reads",
    "rows": "rowcount",
    "spill_pages": "tempdb_space_used",
    "memory_grant_pages": "query_max_used_memory",
    "dop": "dop",
}
_KINDS = {0: "Regular", 3: "Aborted", 4: "Exception"}


class QueryStoreViews:
    """Rows of each view; figures of intervals older than `remembers` are left out."""

    def __init__(self, provider: SimulatedProvider, database: str, now: datetime, remembers: timedelta) -> None:
        self._provider = provider
        self._database = database
        self._now = now
        self._now_us = epoch_us(now)
        self._from_us = epoch_us(now - remembers)
        self.makers: dict[str, Callable[[], list[Row]]] = {
            "sys.query_store_query_text": self._texts,
            "sys.query_store_query": self._queries,
            "sys.query_store_plan": self._plans,
            "sys.query_store_runtime_stats_interval": self._intervals,
            "sys.query_store_runtime_stats": self._runtime_stats,
            "sys.query_store_wait_stats": self._wait_stats,
            "sys.database_query_store_options": self._options,
            "sys.database_recovery_status": self._recovery,
            "sys.database_automatic_tuning_options": lambda: [{"name": AUTOMATIC_TUNING, "actual_state_desc": "OFF"}],
            "sys.dm_db_tuning_recommendations": self._recommendations,
        }

    @property
    def _history(self) -> DatabaseHistory:
        return self._provider.history(self._database)

    def _known(self) -> list[int]:
        """First stretch of each plan that Query Store knows now."""
        parts, (_, plan_ids) = self._history.parts, self._history.ids
        since = self._history.recorded.since(self._now_us)
        generation = max((life.generation for life in parts.lives if life.start_us <= self._now_us), default=0)
        generations = np.array([life.generation for life in parts.lives])[parts.life]
        there = np.flatnonzero((parts.start_us <= self._now_us) & (parts.end_us > since) & (generations == generation))
        _, first = np.unique(plan_ids[there], return_index=True)
        return [int(row) for row in there[first]]

    def _texts(self) -> list[Row]:
        return [
            {"query_text_id": number, "query_sql_text": parameterised(statement), "has_restricted_text": False}
            for number, statement in self._query_numbers().items()
        ]

    def _queries(self) -> list[Row]:
        return [
            {"query_id": number, "query_text_id": number, "query_hash": hash_bytes(query_hash(statement))}
            for number, statement in self._query_numbers().items()
        ]

    def _query_numbers(self) -> dict[int, int]:
        query_ids, statements = self._history.ids[0], self._history.parts.statement
        return {int(query_ids[row]): int(statements[row]) for row in self._known()}

    def _plans(self) -> list[Row]:
        parts, (query_ids, plan_ids) = self._history.parts, self._history.ids
        forced = forced_plans(self._history.faults, self._now_us)
        return [
            {
                "plan_id": int(plan_ids[row]),
                "query_id": int(query_ids[row]),
                "compatibility_level": self._provider.version.compatibility_level,
                "query_plan_hash": hash_bytes(int(parts.plan_hash[row])),
                "query_plan": plan_text(
                    self._provider, self._database, self._now, int(parts.statement[row]), int(parts.plan[row])
                ),
                "initial_compile_start_time": from_epoch_us(int(parts.start_us[row])),
                **_forcing(forced.get(int(parts.statement[row])) if parts.plan[row] == NORMAL_PLAN else None),
            }
            for row in self._known()
        ]

    def _intervals(self) -> list[Row]:
        return [
            {
                "runtime_stats_interval_id": interval.interval_id,
                "start_time": from_epoch_us(interval.start_us),
                "end_time": from_epoch_us(interval.end_us),
            }
            for interval in self._history.intervals(self._now, self._from_us)
        ]

    def _runtime_stats(self) -> list[Row]:
        stats, length = self._history.runtime_stats(self._now, self._from_us), self._history.cadence.interval_us
        figures = {f"avg_{_METRICS[name]}": stats.averages[:, at] for at, name in enumerate(AVERAGES)}
        figures |= {f"stdev_{_METRICS[name]}": stats.deviations[:, at] for at, name in enumerate(DEVIATIONS)}
        figures |= {f"min_{_METRICS[name]}": stats.minima[:, at].astype(int) for at, name in enumerate(MINIMA)}
        figures |= {f"max_{_METRICS[name]}": stats.maxima[:, at].astype(int) for at, name in enumerate(MAXIMA)}
        figures |= {
            "plan_id": stats.plan_id,
            "replica_group_id": stats.replica_group_id,
            "runtime_stats_interval_id": stats.interval_start_us // length,
            "execution_type": stats.execution_type,
            "count_executions": stats.execution_count.astype(int),
        }
        listed = {name: values.tolist() for name, values in figures.items()}
        return [
            {
                **{name: values[row] for name, values in listed.items()},
                "runtime_stats_id": row + 1,
                "execution_type_desc": _KINDS[listed["execution_type"][row]],
                "first_execution_time": from_epoch_us(int(stats.interval_start_us[row])),
                "last_execution_time": min(self._now, from_epoch_us(int(stats.interval_end_us[row]))),
            }
            for row in range(len(stats))
        ]

    def _wait_stats(self) -> list[Row]:
        waits, length = self._history.wait_stats(self._now, self._from_us), self._history.cadence.interval_us
        return [
            {
                "wait_stats_id": row + 1,
                "plan_id": int(waits.plan_id[row]),
                "replica_group_id": int(waits.replica_group_id[row]),
                "runtime_stats_interval_id": int(waits.interval_start_us[row]) // length,
                "wait_category": 6,
                "wait_category_desc": "Buffer IO",
                "execution_type_desc": "Regular",
                "total_query_wait_time_ms": int(waits.wait_time_ms[row]),
            }
            for row in range(len(waits.plan_id))
        ]

    def _options(self) -> list[Row]:
        cadence = self._history.cadence
        has = self._provider.has_query_store
        state = "READ_WRITE" if has and self._history.recorded.is_on(self._now_us) else "OFF"
        return [
            {
                "desired_state_desc": state,
                "actual_state_desc": state,
                "readonly_reason": 0,
                "current_storage_size_mb": USED_MB,
                "max_storage_size_mb": LARGEST_MB,
                "flush_interval_seconds": cadence.flush_us // 1_000_000,
                "interval_length_minutes": cadence.interval_us // 60_000_000,
                "stale_query_threshold_days": 30,
                "max_plans_per_query": 200,
                "query_capture_mode_desc": "ALL",
                "size_based_cleanup_mode_desc": "AUTO",
                "wait_stats_capture_mode_desc": "ON",
            }
        ]

    def _recovery(self) -> list[Row]:
        fork = f"{self._history.identity:032X}"
        guid = "-".join((fork[:8], fork[8:12], fork[12:16], fork[16:20], fork[20:]))
        return [{"database_id": database_id(self._provider, self._database), "recovery_fork_guid": guid}]

    def _recommendations(self) -> list[Row]:
        plan_ids, parts = self._history.ids[1], self._history.parts
        numbers = {(int(parts.statement[row]), int(parts.plan[row])): int(plan_ids[row]) for row in self._known()}
        return [
            {
                "name": f"PR_{statement}",
                "type": "FORCE_LAST_GOOD_PLAN",
                "score": ADVICE_SCORE,
                "state": json.dumps({"currentValue": "Active"}),
                "details": json.dumps(
                    {
                        "planForceDetails": {
                            "regressedPlanId": numbers[statement, REGRESSED_PLAN],
                            "recommendedPlanId": numbers[statement, NORMAL_PLAN],
                        }
                    }
                ),
            }
            for statement in advised_statements(self._history.faults, self._now_us)
        ]


def _forcing(failures: int | None) -> Row:
    if failures is None:
        return {"is_forced_plan": False, "plan_forcing_type_desc": "NONE"}
    reason = FORCING_FAILED if failures else "NONE"
    return {
        "is_forced_plan": True,
        "force_failure_count": failures,
        "last_force_failure_reason_desc": reason,
        "plan_forcing_type_desc": "MANUAL",
    }
