"""The demo database: a small shop of about 1.36 million rows, loaded in a few seconds."""

from collections.abc import Iterator

import psycopg
from psycopg import sql

DATABASE = "shop"
MONITOR = "dbplanmon_monitor"
BUSIEST_WAREHOUSE = 3
"""Warehouse that sends every hundredth order line, none of the bestseller."""
BESTSELLER = 7
"""Product that every hundredth order line holds: far more than the planner expects of any product."""

_STEPS = (
    ("extension", "create extension if not exists pg_stat_statements"),
    (
        "customers",
        (
            "create table customers as select g as id, 'customer ' || g as name,"
            " (array['DE', 'FR', 'US', 'GB', 'IT'])[1 + g % 5] as country,"
            " now() - g * interval '1 minute' as created from generate_series(1, 50000) g"
        ),
    ),
    (
        "orders",
        (
            "create table orders as select g as id, (1 + (g * 7919) % 50000)::int as customer_id,"
            " now() - (g % 525600) * interval '1 minute' as placed,"
            " case when g % 100 > 20 then 'done' when g % 100 > 10 then 'shipped' when g % 100 > 2 then 'paid'"
            " else 'new' end as status, (g * 37 % 100000) / 100.0 as total from generate_series(1, 300000::bigint) g"
        ),
    ),
    (
        "order lines",
        (
            "create table lines as select g as id, 1 + g % 300000 as order_id,"
            f" case when g % 100 = 50 then {BUSIEST_WAREHOUSE} else 1 + (g * 17) % 4000 end::int as warehouse_id,"
            f" case when g % 100 = 0 then {BESTSELLER} else 1 + (g * 31) % 5000 end::int as product_id,"
            " (1 + g % 9)::int as qty, (g * 17 % 9999) / 100.0 as price from generate_series(1, 1000000::bigint) g"
        ),
    ),
    (
        "products",
        (
            "create table products as select g as id, 'product ' || g as name, g % 50 as category"
            " from generate_series(1, 5000) g"
        ),
    ),
    ("feature flags", "create table flags as select g as id, g % 7 as grp from generate_series(1, 1300) g"),
    (
        "keys",
        (
            "alter table customers add primary key (id); alter table orders add primary key (id);"
            " alter table lines add primary key (id); alter table products add primary key (id)"
        ),
    ),
    (
        "indexes",
        (
            "create index orders_customer on orders (customer_id); create index orders_placed on orders (placed);"
            " create index lines_order on lines (order_id); create index lines_product on lines (product_id);"
            " create index lines_warehouse on lines (warehouse_id)"
        ),
    ),
    ("statistics", "analyze"),
)


def create_shop(admin_dsn: str) -> None:
    """An empty database, and the role that watches it: it may read statistics, and plan what it may read."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
        admin.execute(
            sql.SQL("create role {} login in role pg_monitor, pg_read_all_data").format(sql.Identifier(MONITOR))
        )


def load_shop(shop_dsn: str) -> Iterator[tuple[str, int, int]]:
    """Create and fill the tables; yields name of the step, its number and how many there are."""
    with psycopg.connect(shop_dsn, autocommit=True) as admin:
        for number, (name, statement) in enumerate(_STEPS, start=1):
            yield name, number, len(_STEPS)
            admin.execute(statement.encode())
        # Freezes and sets visibility bits, as a shop that has run for a while would have them.
        admin.execute("vacuum")
        admin.execute("checkpoint")
