"""A simulated fleet served over TDS: its histories as the system views of a SQL Server, at the moment of a clock."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.providers.simulated.provider import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.versions import EDITION
from dbplanmon_pipeline_tests.support.simulated_index_views import IndexViews
from dbplanmon_pipeline_tests.support.simulated_query_store_views import QueryStoreViews
from dbplanmon_pipeline_tests.support.simulated_server_views import SYSTEM_DATABASES, ServerViews
from dbplanmon_pipeline_tests.support.simulated_values import database_id
from dbplanmon_pipeline_tests.support.sqlserver_catalog import ARGUMENTS, VIEWS, columns_of, views_of
from dbplanmon_pipeline_tests.support.tds.answers import Answer, Login, Request, ServerError
from dbplanmon_pipeline_tests.support.tds.duck import DuckHandler, Table

_DESCRIBING = ("sys.all_objects", "sys.all_columns", "sys.fn_my_permissions")
_NOTHING = {"bit": False, "nvarchar": "", "varchar": "", "char": "", "binary": b"", "varbinary": b""}


class SimulatedSqlServer:
    """Answers for a `TdsServer`: `TdsServer(server.handler, auth=server.auth)`.

    Args:
        provider: the fleet; all its databases are on this server.
        clock: present moment; what is shown follows it.
        version: release that it calls itself and whose columns the views have; that of the provider where not given.
        remembers: figures of older intervals are not served, though the history has them.
        denied: as `DuckHandler` takes it.
        dropped: when indexes are dropped from every database, by their names.
    """

    def __init__(
        self,
        provider: SimulatedProvider,
        clock: Callable[[], datetime],
        *,
        version: int | None = None,
        remembers: timedelta = timedelta(hours=26),
        denied: Mapping[str, int] | None = None,
        dropped: Mapping[str, datetime] | None = None,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._release = replace(provider.version, number=version or provider.version.number)
        self._version = self._release.number
        self._remembers = remembers
        self._dropped = dropped or {}
        self._shown = _Moments()
        self.duck = DuckHandler(self.tables, scalars=self._scalars, now=clock, denied=denied or {})

    def handler(self, request: Request) -> Answer:
        """Answer with what is true now; requests of one moment side by side, those of another after them."""
        with self._shown.at(self._clock(), self.duck.refresh):
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
        now = self._clock()
        gone = frozenset(name for name, moment in self._dropped.items() if moment <= now)
        rows = _SystemViews(self._provider, database, now, self._version, self._remembers, gone)
        return {
            view: Table(
                [*_arguments(view), *columns_of(view, self._version)],
                _Rows(lambda view=view: rows.of(view)),  # type: ignore[misc]
            )
            for view in views_of(self._version)
            if view not in _DESCRIBING
        }

    def _updates(self) -> int:
        histories = (self._provider.history(name) for name in self._provider.databases())
        return max((history.updates(self._clock()) for history in histories), default=0)

    def _scalars(self, database: str) -> Mapping[str, object]:
        return {
            "SERVERPROPERTY('ProductVersion')": self._release.build(self._updates()),
            "SERVERPROPERTY('Edition')": EDITION,
            "SERVERPROPERTY('EngineEdition')": 3,
            "DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_WRITE",
            "DB_ID()": database_id(self._provider, database),
        }


class _Moments:
    """Lets those who read the tables of one moment finish before the tables of another one replace them."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._moment: datetime | None = None
        self._reading = 0

    @contextmanager
    def at(self, moment: datetime, renew: Callable[[], None]) -> Iterator[None]:
        """Read at this moment, or at a later one that is shown already."""
        with self._free:
            while self._reading and self._is_news(moment):
                self._free.wait()
            if self._is_news(moment):
                renew()
                self._moment = moment
            self._reading += 1
        try:
            yield
        finally:
            with self._free:
                self._reading -= 1
                self._free.notify_all()

    def _is_news(self, moment: datetime) -> bool:
        return self._moment is None or moment > self._moment


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


class _SystemViews:
    """Rows of each view of one database at one moment."""

    def __init__(
        self,
        provider: SimulatedProvider,
        database: str,
        now: datetime,
        version: int,
        remembers: timedelta,
        gone: frozenset[str],
    ) -> None:
        self._version = version
        self._makers = ServerViews(provider, now).makers
        if database in provider.databases():
            self._makers |= QueryStoreViews(provider, database, now, remembers).makers
            self._makers |= IndexViews(provider, database, gone).makers

    def of(self, view: str) -> list[tuple[Any, ...]]:
        """Rows in the order of the columns; what nobody cares for is NULL, or nothing where that is not allowed."""
        if view not in self._makers:
            return []
        columns = [*_arguments(view), *columns_of(view, self._version)]
        blank = {name: _blank(view, name, sql_type) for name, sql_type in columns}
        return [tuple({**blank, **row}[name] for name, _ in columns) for row in self._makers[view]()]


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
