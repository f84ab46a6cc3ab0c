"""About twenty kinds of statements that the demo shop runs all day."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from dbplanmon_pipeline.demo.shop import BESTSELLER, BUSIEST_WAREHOUSE

Parameters = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class ShopStatement:
    """One kind of statement.

    Attributes:
        name: stands as a comment in its text, as many applications tag theirs.
        text: with %s for each parameter.
        per_second: how often it runs.
        parameters: drawn anew for each execution.
    """

    name: str
    text: str
    per_second: float
    parameters: Callable[[Random], Parameters]

    @property
    def tagged(self) -> str:
        """The text with its name in it."""
        verb, rest = self.text.split(" ", 1)
        return f"{verb} /* {self.name} */ {rest}"


def _customer(random: Random) -> Parameters:
    return (random.randint(2, 50_000),)


def _order(random: Random) -> Parameters:
    return (random.randint(10, 300_000),)


def _product(random: Random) -> Parameters:
    return (random.randint(100, 5_000),)


def _always(*values: int | str) -> Callable[[Random], Parameters]:
    return lambda _random: values


STATEMENTS = (
    ShopStatement("customer_by_id", "select * from customers where id = %s", 8, _customer),
    ShopStatement(
        "orders_of_customer", "select * from orders where customer_id = %s order by placed desc limit 10", 6, _customer
    ),
    ShopStatement(
        "basket_value",
        "select o.id, sum(l.qty * l.price) from orders o join lines l on l.order_id = o.id"
        " where o.customer_id = %s group by o.id",
        4,
        _customer,
    ),
    ShopStatement("sold_per_product", "select count(*) from lines where product_id = %s", 4, _product),
    ShopStatement(
        "orders_with_product",
        "select o.id, o.total from orders o where exists"
        " (select 1 from lines l where l.order_id = o.id and l.product_id = %s) order by o.total desc limit 20",
        3,
        _product,
    ),
    ShopStatement(
        "bestseller_report",
        "select count(*), sum(qty * price) from lines where product_id = %s",
        3,
        _always(BESTSELLER),
    ),
    ShopStatement(
        "busiest_warehouse",
        "select count(*), sum(qty * price) from lines where warehouse_id = %s",
        4,
        _always(BUSIEST_WAREHOUSE),
    ),
    ShopStatement(
        "top_customers",
        "select customer_id, total from orders where placed > now() - make_interval(days => %s)"
        " order by total desc, customer_id limit 2000",
        1,
        _always(60),
    ),
    ShopStatement(
        "recent_by_status",
        "select status, count(*) from orders where placed > now() - make_interval(days => %s) group by status",
        3,
        _always(5),
    ),
    ShopStatement(
        "largest_of_today",
        "select id, total from orders where placed > now() - make_interval(hours => %s) order by total desc limit 20",
        3,
        _always(24),
    ),
    ShopStatement(
        "recent_by_country",
        "select c.country, sum(o.total) from orders o join customers c on c.id = o.customer_id"
        " where o.placed > now() - make_interval(days => %s) group by 1",
        2,
        _always(2),
    ),
    ShopStatement("order_status", "update orders set status = %s where id = %s", 3, lambda r: ("paid", *_order(r))),
    ShopStatement(
        "lines_of_orders",
        "select * from lines where order_id in (%s, %s, %s, %s)",
        5,
        lambda r: (*_order(r), *_order(r), *_order(r), *_order(r)),
    ),
    ShopStatement(
        "average_order",
        "select avg(total) from orders where id between %s and %s",
        3,
        lambda r: (start := r.randint(1, 290_000), start + 500),
    ),
    ShopStatement(
        "name_search",
        "select name from customers where id > %s order by id limit 5",
        4,
        lambda r: (r.randint(1, 49_000),),
    ),
    ShopStatement(
        "category_ranking",
        "select p.name, sum(l.qty) from products p join lines l on l.product_id = p.id"
        " where p.id between %s and %s group by 1 order by 2 desc limit 5",
        2,
        lambda r: (start := r.randint(100, 4_900), start + 3),
    ),
    ShopStatement("last_order", "select max(placed) from orders where customer_id = %s", 5, _customer),
    ShopStatement("price_of_product", "select name, category from products where id = %s", 8, _product),
    ShopStatement(
        "running_totals",
        "select id, sum(total) over (order by id) from orders where id between %s and %s",
        2,
        lambda r: (start := r.randint(1, 290_000), start + 2_000),
    ),
    ShopStatement(
        "new_customers", "select count(*) from customers where id > %s and country = %s", 2, lambda _r: (49_000, "DE")
    ),
    ShopStatement("feature_flags", "select count(*) from flags where grp = %s", 2, lambda r: (r.randint(0, 6),)),
)
