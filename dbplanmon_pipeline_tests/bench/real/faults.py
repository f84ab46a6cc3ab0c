"""Twelve faults of six kinds, and what each of them truly slows down."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from dbplanmon_pipeline.demo import faults as story
from dbplanmon_pipeline.demo.shop import BUSIEST_WAREHOUSE, DATABASE
from dbplanmon_pipeline_tests.bench.real.application import (
    ASK_FOR_SEAT,
    FAILED_JOBS_ORDERS,
    OLDEST_FAILED,
    TAKE_TICKET,
)
from dbplanmon_pipeline_tests.bench.real.server import (
    LivingServer,
    cold_restart,
    holds_row,
    other_plan_cache,
    owner_does,
)

INDEX, SKEW, MEMORY, LOCKS, RESTART, PLAN_CACHE = (
    "index dropped",
    "skewed data",
    "work_mem",
    "lock contention",
    "cold cache after restart",
    "generic instead of custom plan",
)
_DROPPED, _LOADED, _LOWERED = story.FAULTS


@dataclass(frozen=True, slots=True)
class RealFault:
    """Something that breaks.

    Attributes:
        affects: statements that truly get slower; empty for a fault that must not be blamed on any statement.
        during: breaks the server on entry and mends it on exit.
    """

    name: str
    kind: str
    affects: frozenset[str]
    during: Callable[[LivingServer], AbstractContextManager[None]]

    @property
    def owes_silence(self) -> bool:
        """True where an incident on any statement would be false."""
        return not self.affects


def _ours(name: str, kind: str, known: story.Fault) -> RealFault:
    return RealFault(
        name, kind, frozenset(known.affects), owner_does(known.break_it, known.mend_it, reconnect=known.reconnect)
    )


def _work_mem(size: str) -> tuple[Sequence[str], Sequence[str]]:
    return (
        (f"alter database {DATABASE} set work_mem = '{size}'",),
        (f"alter database {DATABASE} reset work_mem",),
    )


# In an order in which neighbours slow down different statements.
FAULTS = (
    _ours("lines_product dropped", INDEX, _DROPPED),
    _ours("400,000 orders placed now, no ANALYZE", SKEW, _LOADED),
    RealFault("a ticket held half of the time", LOCKS, frozenset({TAKE_TICKET.name}), holds_row("tickets", 0.3, 0.3)),
    RealFault(
        "other plan cache mode for a short list",
        PLAN_CACHE,
        frozenset({OLDEST_FAILED.name}),
        other_plan_cache(OLDEST_FAILED),
    ),
    _ours("work_mem at 64kB", MEMORY, _LOWERED),
    RealFault(
        "orders_customer dropped",
        INDEX,
        frozenset({"orders_of_customer", "basket_value", "last_order"}),
        owner_does(("drop index orders_customer",), ("create index orders_customer on orders (customer_id)",)),
    ),
    RealFault("restart", RESTART, frozenset(), cold_restart(evict=False)),
    RealFault(
        "300,000 lines of one warehouse, no ANALYZE",
        SKEW,
        # Each product gets sixty lines more, which its count reads from the table until VACUUM has been there.
        frozenset({"busiest_warehouse", "sold_per_product"}),
        owner_does(
            (
                (
                    "insert into lines (id, order_id, warehouse_id, product_id, qty, price) select 10000000 + g, "
                    f"1 + g % 300000, {BUSIEST_WAREHOUSE}, 1 + (g * 31) % 5000, 1, 1 from generate_series(1, 300000) g"
                ),
            ),
            ("delete from lines where id > 10000000", "vacuum analyze lines"),
        ),
    ),
    RealFault("a seat held a third of the time", LOCKS, frozenset({ASK_FOR_SEAT.name}), holds_row("seats", 0.2, 0.4)),
    RealFault(
        "other plan cache mode for a join",
        PLAN_CACHE,
        frozenset({FAILED_JOBS_ORDERS.name}),
        other_plan_cache(FAILED_JOBS_ORDERS),
    ),
    RealFault("restart with the files out of memory", RESTART, frozenset(), cold_restart(evict=True)),
    RealFault(
        "work_mem at 128kB",
        MEMORY,
        frozenset(_LOWERED.affects),
        owner_does(*_work_mem("128kB"), reconnect=True),
    ),
)
