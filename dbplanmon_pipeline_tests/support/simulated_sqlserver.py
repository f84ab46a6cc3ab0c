"""A simulated fleet served over TDS: its histories as the system views of a SQL Server, at the moment of a clock."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.plan_cache import OUTERMOST, TOTALS
from dbplanmon_pipeline.core.query_store import AVERAGES, DEVIATIONS, MAXIMA, MINIMA
from dbplanmon_pipeline.providers.simulated.facts import (
    ADVICE_SCORE,
    AUTOMATIC_TUNING,
    FORCING_FAILED,
    LARGEST_MB,
    USED_MB,
    advised_statements,
    forced_plans,
)
from dbplanmon_pipeline.providers.simulated.faults import NORMAL_PLAN, PLANS, REGRESSED_PLAN
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory
from dbplanmon_pipeline.providers.simulated.operators import DATABASE
from dbplanmon_pipeline.providers.simulated.plans import captured_plan
from dbplanmon_pipeline.providers.simulated.provider import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.statements import query_hash, sql_text, subject
from dbplanmon_pipeline_tests.support.sqlserver_catalog import ARGUMENTS, VIEWS, columns_of, views_of
from dbplanmon_pipeline_tests.support.tds.answers import Answer, Login, Request, ServerError
from dbplanmon_pipeline_tests.support.tds.duck import DuckHandler, Table

Row = dict[str, Any]

FIRST_DATABASE_ID = 5
SYSTEM_DATABASES = ("master",)
_DESCRIBING = ("sys.all_objects", "sys.all_columns", "sys.fn_my_permissions")
_NOTHING = {"bit": False, "nvarchar": "", "varchar": "", "char": "", "binary": b"", "varbinary": b""}
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
_KINDS = {0: "Regular", 3: "Aborted", 4: "Exception"}


class SimulatedSqlServer:
    """Answers for a `TdsServer`: `TdsServer(server.handler, auth=server.auth)`.

    Args:
        provider: the fleet; all its databases are on this server.
        clock: present moment; what is shown follows it.
        version: release whose columns the views have; that of the provider where not given.
        remembers: figures of older intervals are not served, though the history has them.
        denied: as `DuckHandler` takes it.
    """

    def __init__(
        self,
        provider: SimulatedProvider,
        clock: Callable[[], datetime],
        *,
        version: int | None = None,
        remembers: timedelta = timedelta(hours=26),
        denied: Mapping[str, int] | None = None,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._version = version or provider.version.number
        self._remembers = remembers
        self._guard = threading.Lock()
        self._shown_at: datetime | None = None
        self.duck = DuckHandler(self.tables, scalars=self._scalars, now=clock, denied=denied or {})

    def handler(self, request: Request) -> Answer:
        """Answer with what is true now."""
        with self._guard:
            if self._clock() != self._shown_at:
                self.duck.refresh()
                self._shown_at = self._clock()
        return self.duck(request)

    def auth(self, login: Login) -> ServerError | None:
        """Refuse databases that are not there or do not work."""
        name = login["database"]
        if name in SYSTEM_DATABASES or not name:
            return None
        there = name in self._provider.databases() and name not in self._provider.failing_databases
        if there and self._provider.history(name).is_up(self._clock()):
            return None
        return ServerError(4060, f'Cannot open database "{name}" requested by the login. The login failed.', 11)

    def tables(self, database: str) -> Mapping[str, Table]:
        """All views of one database; rows are made when they are first asked for."""
        rows = _Views(self._provider, database, self._clock(), self._version, self._remembers)
        return {
            view: Table(
                [*_arguments(view), *columns_of(view, self._version)],
                _Rows(lambda view=view: rows.of(view)),  # type: ignore[misc]
            )
            for view in views_of(self._version)
            if view not in _DESCRIBING
        }

    def _scalars(self, database: str) -> Mapping[str, object]:
        return {
            "SERVERPROPERTY('ProductVersion')": _product_version(self._version),
            "SERVERPROPERTY('Edition')": "Developer Edition (64-bit)",
            "SERVERPROPERTY('EngineEdition')": 3,
            "DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_WRITE",
            "DB_ID()": _database_id(self._provider, database),
        }


class _Rows(Sequence[tuple[Any, ...]]):
    """Rows that are made when somebody looks."""

    def __init__(self, make: Callable[[], list[tuple[Any, ...]]]) -> None:
        self._make = make
        self._made: list[tuple[Any, ...]] | None = None

    def _all(self) -> list[tuple[Any, ...]]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, place: Any) -> Any:
        return self._all()[place]

    def __len__(self) -> int:
        return len(self._all())


class _Views:
    """Rows of each view of one database at one moment."""

    def __init__(
        self, provider: SimulatedProvider, database: str, now: datetime, version: int, remembers: timedelta
    ) -> None:
        self._provider = provider
        self._database = database
        self._now = now
        self._now_us = epoch_us(now)
        self._from_us = epoch_us(now - remembers)
        self._version = version
        self._system = database in SYSTEM_DATABASES or not database
        self._makers: dict[str, Callable[[], list[Row]]] = {
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
            "sys.databases": self._databases,
            "sys.configurations": self._configurations,
            "sys.dm_os_sys_info": self._server,
            "sys.dm_exec_query_stats": self._cached,
            "sys.dm_exec_plan_attributes": self._attributes,
            "sys.dm_exec_sql_text": self._cached_texts,
            "sys.dm_exec_text_query_plan": self._cached_plans,
            "sys.dm_exec_query_plan": self._cached_plans,
        }

    def of(self, view: str) -> list[tuple[Any, ...]]:
        """Rows in the order of the columns; what nobody cares for is NULL, or nothing where that is not allowed."""
        of_server = view.startswith(("sys.databases", "sys.dm_exec", "sys.dm_os", "sys.configurations"))
        if view not in self._makers or (self._system and not of_server):
            return []
        columns = [*_arguments(view), *columns_of(view, self._version)]
        blank = {name: _blank(view, name, sql_type) for name, sql_type in columns}
        return [tuple({**blank, **row}[name] for name, _ in columns) for row in self._makers[view]()]

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
            {"query_text_id": number, "query_sql_text": _parameterised(statement), "has_restricted_text": False}
            for number, statement in self._query_numbers().items()
        ]

    def _queries(self) -> list[Row]:
        return [
            {"query_id": number, "query_text_id": number, "query_hash": _bytes(query_hash(statement))}
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
                "query_plan_hash": _bytes(int(parts.plan_hash[row])),
                "query_plan": self._plan_text(int(parts.statement[row]), int(parts.plan[row])),
                "initial_compile_start_time": from_epoch_us(int(parts.start_us[row])),
                **_forcing(forced.get(int(parts.statement[row])) if parts.plan[row] == NORMAL_PLAN else None),
            }
            for row in self._known()
        ]

    def _plan_text(self, statement: int, plan: int) -> str | None:
        compiled = self._history.compiled_us(statement, plan, self._now)
        return (
            captured_plan(statement, plan, *compiled).body.replace(f"[{DATABASE}]", f"[{self._database}]")
            if compiled
            else None
        )

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
        return [{"database_id": _database_id(self._provider, self._database), "recovery_fork_guid": guid}]

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

    def _databases(self) -> list[Row]:
        return [
            {
                "name": name,
                "database_id": _database_id(self._provider, name),
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
        names = [self._database] if not self._system else self._provider.databases()
        started = next((self._provider.history(name).server_started_us(self._now) for name in names), None)
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
                "plan_handle": _handle(database, query, plan),
                "sql_handle": _handle(database, query, 0),
                "statement_start_offset": 0,
                "statement_end_offset": -1,
                "creation_time": from_epoch_us(self._now_us - age_us),
                "last_execution_time": self._now,
                "query_hash": _bytes(query),
                "query_plan_hash": _bytes(plan),
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
                found.append((name, number, plan, _handle(name, query, plan)))
        return found

    def _attributes(self) -> list[Row]:
        return [
            {"plan_handle": handle, "attribute": "dbid", "value": str(_database_id(self._provider, name))}
            for name, _, _, handle in self._each_cached()
        ]

    def _cached_texts(self) -> list[Row]:
        return [
            {"sql_handle": one, "text": _parameterised(statement)}
            for name, statement, _, handle in self._each_cached()
            for one in {handle, _handle(name, query_hash(statement), 0)}
        ]

    def _cached_plans(self) -> list[Row]:
        found = []
        for name, statement, wanted, handle in self._each_cached():
            views = _Views(self._provider, name, self._now, self._version, timedelta(0))
            parts = self._provider.history(name).parts
            plan = next(
                p for p in range(PLANS) if wanted in parts.plan_hash[(parts.statement == statement) & (parts.plan == p)]
            )
            found.append(
                {
                    "plan_handle": handle,
                    "statement_start_offset": 0,
                    "statement_end_offset": -1,
                    "query_plan": views._plan_text(statement, plan),
                }
            )
        return found


def _arguments(view: str) -> list[tuple[str, str]]:
    types = {"statement_start_offset": "int", "statement_end_offset": "int"}
    own = {name for name, _ in columns_of(view, 99_000_000)} if view in ARGUMENTS else set()
    return [(name, types.get(name, "varbinary(64)")) for name in ARGUMENTS.get(view, ()) if name not in own]


def _blank(view: str, name: str, sql_type: str) -> Any:
    column = VIEWS[view].get(name)
    if column is None or column.nullable:
        return None
    base = sql_type.partition("(")[0]
    moment = base in ("datetime", "datetime2", "datetimeoffset")
    return from_epoch_us(0) if moment else _NOTHING.get(base, 0)


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


def _parameterised(statement: int) -> str:
    names = ", ".join(f"{name} bigint" for name in subject(statement).parameters)
    return f"({names}){sql_text(statement)}"


def _database_id(provider: SimulatedProvider, database: str) -> int:
    names = provider.databases()
    return FIRST_DATABASE_ID + names.index(database) if database in names else 1


def _handle(database: str, query: int, plan: int) -> bytes:
    digest = hashlib.blake2b(f"{database} {query} {plan}".encode(), digest_size=42).digest()
    return (b"\x06\x00" if plan else b"\x02\x00") + digest


def _bytes(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


def _product_version(number: int) -> str:
    major, rest = divmod(number, 1_000_000)
    return f"{major}.{rest // 10_000}.{rest % 10_000}.1"
