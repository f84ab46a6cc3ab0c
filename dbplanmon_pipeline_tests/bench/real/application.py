"""A second application of the shop: two statements whose good plan depends on the value, two on rows that all want."""

import random
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import psycopg

from dbplanmon_pipeline.demo.statements import ShopStatement

TABLES = (
    (
        "create table jobs as select g as id, 1 + g % 300000 as order_id, case when g % 4000 = 0 then 'failed' "
        "when g % 4000 = 1 then 'new' else 'done' end as state, repeat('x', 40) || g as payload "
        "from generate_series(1, 500000) g"
    ),
    "create unique index jobs_id on jobs (id)",
    "create index jobs_state on jobs (state)",
    "create table tickets as select g as id, 0 as taken from generate_series(1, 10) g",
    "create unique index tickets_id on tickets (id)",
    "create table seats as select g as id, 'free' as state from generate_series(1, 1000) g",
    "create unique index seats_id on seats (id)",
    "vacuum analyze jobs, tickets, seats",
)
"""One job in four thousand failed; a generic plan expects one in three."""

HOT_ROW = 1
"""The ticket that everybody takes, and the seat that everybody asks for."""


OLDEST_FAILED = ShopStatement(
    "oldest_failed",
    "select id, payload from jobs where state = %s order by id limit 20",
    5,
    lambda _: ("failed",),
)
FAILED_JOBS_ORDERS = ShopStatement(
    "failed_jobs_orders",
    "select j.payload, o.total from jobs j join orders o on o.id = j.order_id where j.state = %s"
    " order by o.total desc limit 20",
    4,
    lambda _: ("failed",),
)
TAKE_TICKET = ShopStatement(
    "take_ticket", "update tickets set taken = taken + 1 where id = %s", 6, lambda _: (HOT_ROW,)
)
ASK_FOR_SEAT = ShopStatement(
    "ask_for_seat", "select state from seats where id = %s for update", 6, lambda _: (HOT_ROW,)
)
STATEMENTS = (OLDEST_FAILED, FAILED_JOBS_ORDERS, TAKE_TICKET, ASK_FOR_SEAT)
CUSTOM, GENERIC = "force_custom_plan", "force_generic_plan"


class SecondApplication:
    """One thread and one session per statement, each with its own mode of the plan cache.

    Args:
        dsn: of the database.
        statements: what it runs.
    """

    def __init__(self, dsn: str, statements: Iterable[ShopStatement] = STATEMENTS) -> None:
        self._dsn = dsn
        self._stop = threading.Event()
        self.modes = {statement.name: CUSTOM for statement in statements}
        self._threads = [threading.Thread(target=self._live, args=(one,), daemon=True) for one in statements]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _live(self, statement: ShopStatement) -> None:
        while not self._stop.is_set():
            try:
                self._run(statement)
            except psycopg.OperationalError:
                self._stop.wait(0.2)

    def _run(self, statement: ShopStatement) -> None:
        """In one session, until it is lost or another mode is wanted."""
        mode = self.modes[statement.name]
        with psycopg.connect(
            self._dsn, autocommit=True, application_name="jobs", options=f"-c plan_cache_mode={mode}"
        ) as session:
            session.prepare_threshold = 0
            dice = random.Random(statement.name)
            while not self._stop.wait(1 / statement.per_second) and self.modes[statement.name] == mode:
                session.execute(statement.tagged.encode(), statement.parameters(dice)).close()
