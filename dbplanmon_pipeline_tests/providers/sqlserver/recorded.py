"""Work as Query Store and the plan cache of a pretended server show it, and the provider that reads it."""

import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbplanmon_pipeline.core.ports import Budget, StatementKey
from dbplanmon_pipeline.providers.sqlserver import SqlServerProvider
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import DESCRIBING, LOCAL, NOW, Pretended
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import settings_of
from dbplanmon_pipeline_tests.support.sqlserver_catalog import ARGUMENTS, columns_of, views_of
from dbplanmon_pipeline_tests.support.tds.duck import DuckHandler, Table

HOUR = timedelta(hours=1)
MARKED = "(@P1 bigint)SELECT /* dbplanmon */ 1"
"""As the caches keep a statement of ours: behind its parameters, without the comments before its first word."""


def hash_bytes(number):
    return struct.pack(">q", number)


def plan_xml(number, *, size=0):
    """A showplan whose value 4711 must not leave the server; `size` characters longer."""
    name = "x" * size
    return (
        '<ShowPlanXML xmlns="http://schemas.microsoft.com/sqlserver/2004/07/showplan" Version="1.564" Build="16.0.1">'
        f'<BatchSequence><Batch><Statements><StmtSimple StatementText="SELECT {number} WHERE a = 4711" '
        'StatementType="SELECT"><QueryPlan><RelOp NodeId="0" PhysicalOp="Clustered Index Scan" '
        'LogicalOp="Clustered Index Scan" EstimateRows="1" EstimatedTotalSubtreeCost="1"><OutputList/>'
        f'<IndexScan><Object Database="[shop]" Schema="[dbo]" Table="[t{number}{name}]" Index="[pk]"/></IndexScan>'
        "</RelOp></QueryPlan></StmtSimple></Statements></Batch></BatchSequence></ShowPlanXML>"
    )


class Recorded:
    """Rows of Query Store's views; pass `rows` on to `Pretended`."""

    def __init__(self, length=HOUR):
        self.length = length
        self.rows = {
            f"sys.query_store_{name}": []
            for name in ("query", "query_text", "plan", "runtime_stats", "runtime_stats_interval", "wait_stats")
        }
        self._intervals = {}

    def plan(self, plan_id, *, query=None, text=None, xml="", plan_hash=None):
        """A plan with its query and text; `query` is the query's number and hash."""
        query = query or plan_id
        text = f"SELECT a FROM t WHERE b = 4711 AND c = {query}" if text is None else text
        self.rows["sys.query_store_plan"].append(
            {
                "plan_id": plan_id,
                "query_id": query,
                "query_plan_hash": hash_bytes(plan_hash or plan_id + 1000),
                "query_plan": xml if xml is None else xml or plan_xml(plan_id),
                "compatibility_level": 150,
            }
        )
        if query not in {row["query_id"] for row in self.rows["sys.query_store_query"]}:
            self.rows["sys.query_store_query"].append(
                {"query_id": query, "query_text_id": query, "query_hash": hash_bytes(query)}
            )
            self.rows["sys.query_store_query_text"].append(
                {
                    "query_text_id": query,
                    "query_sql_text": text,
                    "is_part_of_encrypted_module": text == "",
                    "has_restricted_text": False,
                }
            )
        return self

    def ran(self, plan_id, executions, *, ago=timedelta(0), duration=100.0, kind=0, replica=1, wait_ms=None):
        """One row of the interval that ran `ago` before NOW."""
        interval = self._interval(NOW - ago)
        metrics = {
            "duration": duration,
            "cpu_time": duration / 2,
            "logical_io_reads": 10.0,
            "logical_io_writes": 0.0,
            "physical_io_reads": 1.0,
            "rowcount": 3.0,
            "tempdb_space_used": 2.0,
        }
        row = {
            "plan_id": plan_id,
            "runtime_stats_interval_id": interval,
            "execution_type": kind,
            "count_executions": executions,
            "replica_group_id": replica,
            **{f"avg_{name}": value for name, value in metrics.items()},
            "stdev_duration": 0.0,
            "stdev_cpu_time": 0.0,
            "min_duration": int(duration),
            "min_cpu_time": int(duration / 2),
            "max_duration": int(duration),
            "max_cpu_time": int(duration / 2),
            "max_query_max_used_memory": 128,
            "max_dop": 1,
        }
        self.rows["sys.query_store_runtime_stats"].append(row)
        if wait_ms is not None:
            self.rows["sys.query_store_wait_stats"].append(
                {
                    "plan_id": plan_id,
                    "runtime_stats_interval_id": interval,
                    "execution_type": kind,
                    "total_query_wait_time_ms": wait_ms,
                    "replica_group_id": replica,
                }
            )
        return self

    def _interval(self, moment):
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        start = epoch + (moment - epoch) // self.length * self.length
        if start not in self._intervals:
            self._intervals[start] = len(self._intervals) + 1
            self.rows["sys.query_store_runtime_stats_interval"].append(
                {
                    "runtime_stats_interval_id": self._intervals[start],
                    "start_time": start,
                    "end_time": start + self.length,
                }
            )
        return self._intervals[start]


class Cached:
    """Rows of the plan cache; pass `rows` on to `Pretended`."""

    def __init__(self):
        self.rows = {
            f"sys.dm_exec_{name}": []
            for name in ("query_stats", "plan_attributes", "sql_text", "text_query_plan", "query_plan")
        }

    def statement(self, handle, executions, *, database=5, query=1, age=timedelta(hours=2), text=None, offsets=(0, -1)):
        """One statement of the plan with this handle (a byte)."""
        handle = bytes([6, handle]) * 10
        text = f"SELECT a FROM t WHERE b = 4711 AND c = {query}" if text is None else text
        self.rows["sys.dm_exec_query_stats"].append(
            {
                "plan_handle": handle,
                "sql_handle": handle,
                "statement_start_offset": offsets[0],
                "statement_end_offset": offsets[1],
                "creation_time": (NOW + LOCAL - age).replace(tzinfo=None),
                "query_hash": hash_bytes(query),
                "query_plan_hash": hash_bytes(query + 1000),
                "execution_count": executions,
                "total_elapsed_time": executions * 100,
                "total_worker_time": executions * 50,
                "total_logical_reads": executions * 10,
                "total_logical_writes": 0,
                "total_physical_reads": 0,
                "total_rows": executions,
                "total_spills": 0,
                **{f"{word}_{name}": 100 for word in ("min", "max") for name in ("elapsed_time", "worker_time")},
                "max_grant_kb": 1024,
                "max_dop": 1,
            }
        )
        if handle not in {row["plan_handle"] for row in self.rows["sys.dm_exec_plan_attributes"]}:
            self.rows["sys.dm_exec_plan_attributes"] += [
                {"plan_handle": handle, "attribute": "dbid", "value": database},
                {"plan_handle": handle, "attribute": "set_options", "value": 4347},
            ]
            self.rows["sys.dm_exec_sql_text"].append({"sql_handle": handle, "dbid": database, "text": text})
        self.rows["sys.dm_exec_text_query_plan"].append(
            {
                "plan_handle": handle,
                "statement_start_offset": offsets[0],
                "statement_end_offset": offsets[1],
                "query_plan": plan_xml(query),
            }
        )
        return self


@dataclass
class Recording(Pretended):
    """A pretended server whose functions take their arguments, with databases of their own where `others` says so."""

    others: dict = field(default_factory=dict)

    def handler(self):
        return DuckHandler(self._tables, scalars=self._scalars(), now=lambda: NOW + self.skew, denied=self.denied)

    def _scalars(self):
        local = (NOW + self.skew + LOCAL).replace(tzinfo=None)
        return {"GETDATE()": local, **super()._scalars()}

    def _tables(self, database):
        source = self.others.get(database, self)
        views = [view for view in views_of(self.level) if view not in DESCRIBING and view not in self.lacks]
        return {view: Table(_columns(view, self.level), source._rows_of(view)) for view in views}

    def _rows_of(self, view):
        rows = self._all_rows().get(view, [])
        return [tuple(row.get(name) for name, _ in _columns(view, self.level)) for row in rows]


def _columns(view, level):
    """As the catalog says; of a function its arguments first."""
    own = columns_of(view, level)
    named = {name for name, _ in own}
    arguments = [name for name in ARGUMENTS.get(view, ()) if name not in named]
    return [(name, "int" if "offset" in name else "varbinary(64)") for name in arguments] + own


def pretending(*sources, **more):
    """A pretended server with the rows of these."""
    return Recording(rows={view: rows for source in sources for view, rows in source.rows.items()}, **more)


def provider_to(server, driver=None, *, instance="sql1", clock=lambda: NOW, **more):
    """The provider for a server of a test."""
    return SqlServerProvider(instance=instance, connection=settings_of(server, driver), clock=clock, **more)


@contextmanager
def reader_to(server, driver=None, *, database="shop", time_left=None, **more):
    provider = provider_to(server, driver, **more)
    with provider.open(database, time_left or Budget(time.monotonic() + 60.0, time.monotonic)) as reader:
        yield reader


def keys_of(reading):
    """What the collection would ask for, one per counter."""
    columns = zip(reading.query_hash.tolist(), reading.plan_hash.tolist(), reading.keys, strict=True)
    return [StatementKey(*column) for column in columns]


def sent(server, name):
    """How often one of our statements was sent, told by its words of purpose."""
    path = Path(__file__).parents[3] / "dbplanmon_pipeline" / "providers" / "sqlserver" / "sql" / f"{name}.sql"
    purpose = path.read_text(encoding="utf-8").splitlines()[1]
    return sum(purpose in sql and kind != "sp_unprepare" for kind, sql, _ in server.log)
