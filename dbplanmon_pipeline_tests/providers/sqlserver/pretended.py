"""A SQL Server of any version and edition, as far as its system views tell: real T-SQL over a real wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dbplanmon_pipeline.providers.sqlserver.editions import EngineEdition, feature_level, version_number
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import session_to
from dbplanmon_pipeline_tests.support.sqlserver_catalog import columns_of, views_of
from dbplanmon_pipeline_tests.support.tds import TdsServer
from dbplanmon_pipeline_tests.support.tds.duck import DuckHandler, Table

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
UP = timedelta(days=3, hours=4, minutes=5, seconds=6)
LOCAL = timedelta(hours=-5)
"""Time zone of the pretended server."""

CREATED = datetime(2025, 3, 1, 8, 30, tzinfo=UTC)
FORK = "0F8FAD5B-D9CB-469F-A165-70867728950E"

Rows = list[dict[str, Any]]

RIGHTS = {
    "server": "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')",
    "server_performance": "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE')",
    "database": "HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DATABASE STATE')",
    "database_performance": "HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DATABASE PERFORMANCE STATE')",
    "definitions": "HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DEFINITION')",
}
NEEDS_SERVER = ("sys.dm_os_sys_info", "sys.dm_hadr_database_replica_states", "sys.dm_exec_query_stats")

DESCRIBING = ("sys.all_objects", "sys.all_columns")
"""The handler itself tells of the tables it has."""

OPTIONS: dict[str, Any] = {
    "desired_state_desc": "READ_WRITE",
    "actual_state_desc": "READ_WRITE",
    "readonly_reason": 0,
    "current_storage_size_mb": 420,
    "max_storage_size_mb": 1000,
    "flush_interval_seconds": 900,
    "interval_length_minutes": 60,
    "stale_query_threshold_days": 30,
    "max_plans_per_query": 200,
    "query_capture_mode_desc": "AUTO",
    "size_based_cleanup_mode_desc": "AUTO",
    "wait_stats_capture_mode_desc": "ON",
}


@dataclass
class Pretended:
    """What the server is; change an attribute before it is asked.

    Attributes:
        version / engine_edition: decide which views and columns it has.
        rights: values of RIGHTS by name, 1, 0 or None.
        rows: further rows by view.
        options: of Query Store; None where the view is empty.
        denied: views that may not be read, with the error number.
        lacks: views it should have and has not.
    """

    version: str = "16.0.4135.4"
    edition: str = "Developer Edition (64-bit)"
    engine_edition: int = 3
    rights: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(RIGHTS, 1))
    rows: dict[str, Rows] = field(default_factory=dict)
    options: dict[str, Any] | None = field(default_factory=lambda: dict(OPTIONS))
    database: dict[str, Any] = field(default_factory=dict)
    scalars: dict[str, Any] = field(default_factory=dict)
    denied: dict[str, int] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    skew: timedelta = timedelta(0)

    @property
    def level(self) -> int:
        return feature_level(EngineEdition.of(self.engine_edition), version_number(self.version))

    def handler(self) -> DuckHandler:
        return DuckHandler(
            {
                view: Table(columns_of(view, self.level), self._rows_of(view))
                for view in views_of(self.level)
                if view not in DESCRIBING and view not in self.lacks
            },
            scalars=self._scalars(),
            now=lambda: NOW + self.skew,
            denied=self.denied,
        )

    def _rows_of(self, view: str) -> list[tuple[Any, ...]]:
        names = [name for name, _ in columns_of(view, self.level)]
        return [tuple(row.get(name) for name in names) for row in self._all_rows().get(view, [])]

    def _all_rows(self) -> Mapping[str, Rows]:
        started = (NOW - UP + LOCAL).replace(tzinfo=None)
        shop = {
            "name": "shop",
            "database_id": 5,
            "create_date": CREATED,
            "compatibility_level": 150,
            "state": 0,
            "collation_name": "Latin1_General_CI_AS",
            "is_read_only": False,
            "is_query_store_on": True,
            "is_read_committed_snapshot_on": True,
            "is_parameterization_forced": False,
            "is_distributor": False,
            **self.database,
        }
        own: dict[str, Rows] = {
            "sys.databases": [shop],
            "sys.database_query_store_options": [self.options] if self.options is not None else [],
            "sys.database_recovery_status": [{"database_id": 5, "recovery_fork_guid": FORK}],
            "sys.dm_os_sys_info": [
                {
                    "ms_ticks": int(UP.total_seconds() * 1000) + 5_000,
                    "sqlserver_start_time_ms_ticks": 5_000,
                    "sqlserver_start_time": started,
                }
            ],
        }
        return own | {view: own.get(view, []) + rows for view, rows in self.rows.items()}

    def _scalars(self) -> dict[str, Any]:
        return {
            "SERVERPROPERTY('ProductVersion')": self.version,
            "SERVERPROPERTY('Edition')": self.edition,
            "SERVERPROPERTY('EngineEdition')": self.engine_edition,
            "DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_WRITE",
            **{RIGHTS[name]: value for name, value in self.rights.items()},
            **self.scalars,
        }


def box_2019(**more: Any) -> Pretended:
    """Knows no performance rights."""
    rights = {"server": 1, "server_performance": None, "database": 1, "database_performance": None}
    return Pretended(**{"version": "15.0.4430.1", "rights": rights, **more})


def azure(**more: Any) -> Pretended:
    return Pretended(**{"version": "12.0.2000.8", "edition": "SQL Azure", "engine_edition": 5, **more})


def asked(pretended: Pretended, driver: Any, ask: Callable[[Session], Any], database: str = "shop") -> Any:
    """What `ask` makes of a session to the pretended server."""
    with TdsServer(pretended.handler()) as server, session_to(server, driver, database=database) as session:
        return ask(session)
