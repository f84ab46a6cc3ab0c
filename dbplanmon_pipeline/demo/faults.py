"""What goes wrong in the demo, one thing after the other, and one thing that only looks as if it did."""

from dataclasses import dataclass

import psycopg

from dbplanmon_pipeline.demo.shop import DATABASE


@dataclass(frozen=True, slots=True)
class Fault:
    """A thing that breaks.

    Attributes:
        name / kind: for the result; kind is what a DBA would call it.
        story: one sentence on what somebody did.
        affects: statements that truly get slower; an incident on another one is a false one.
        break_it / mend_it: statements run by the owner of the database.
        reconnect: the change reaches only new sessions, so the application's are closed.
        within_ticks: an incident is owed within so many collection ticks.
    """

    name: str
    kind: str
    story: str
    affects: tuple[str, ...]
    break_it: tuple[str, ...]
    mend_it: tuple[str, ...]
    reconnect: bool
    within_ticks: int


FAULTS = (
    Fault(
        "dropped_index",
        "plan_regression",
        "A clean-up script drops the index lines_product.",
        ("sold_per_product", "orders_with_product", "bestseller_report", "category_ranking"),
        ("drop index lines_product",),
        ("create index lines_product on lines (product_id)",),
        reconnect=False,
        within_ticks=2,
    ),
    Fault(
        "skewed_load",
        "stale_statistics",
        "A bulk load adds 400,000 orders of one customer, all placed now, and nobody runs ANALYZE.",
        ("recent_by_status", "largest_of_today", "recent_by_country", "top_customers"),
        (
            (
                "insert into orders (id, customer_id, placed, status, total)"
                " select 10000000 + g, 1, now(), 'new', g % 1000 from generate_series(1, 400000) g"
            ),
        ),
        ("delete from orders where id > 10000000", "vacuum analyze orders"),
        reconnect=False,
        within_ticks=4,
    ),
    Fault(
        "small_work_mem",
        "regression_without_plan_change",
        "A new configuration lowers work_mem from 4MB to 64kB.",
        ("busiest_warehouse", "bestseller_report", "top_customers", "recent_by_country"),
        (f"alter database {DATABASE} set work_mem = '64kB'",),
        (f"alter database {DATABASE} reset work_mem",),
        reconnect=True,
        within_ticks=4,
    ),
)

SILENT_STATEMENT = "feature_flags"
SILENT_STORY = "The statement feature_flags doubles from about 0.1 to 0.2 ms: twice as slow, and worth nobody's sleep."
SILENT_CHANGE = ("insert into flags select 2000 + g, g % 7 from generate_series(1, 1300) g",)


def apply(dsn: str, statements: tuple[str, ...], *, reconnect: bool = False) -> None:
    """Run statements as the owner; with `reconnect`, close the sessions of the application afterwards."""
    with psycopg.connect(dsn, autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement.encode())
        if reconnect:
            owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'")
