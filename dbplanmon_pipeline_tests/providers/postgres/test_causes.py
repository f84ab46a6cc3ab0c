"""Somebody changes something on a real server; what two readings tell names it as the most plausible cause.

One database goes through all changes, two days apart, so that none is among the suspects of the next.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from psycopg import sql

from dbplanmon_pipeline.core.causes.candidates import CauseKind
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline.services.explain import explain_incident
from dbplanmon_pipeline.services.read_database import CaptureLimits, read_database
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION
from dbplanmon_pipeline_tests.providers.postgres.conftest import SCHEMA
from dbplanmon_pipeline_tests.providers.postgres.monitored import budget, provider_of, query_hash_of
from dbplanmon_pipeline_tests.support.postgres import connect, fresh_database

STATEMENT = "SELECT id FROM orders WHERE customer_id = 5"
LIKE = "SELECT id FROM orders WHERE customer_id%"
BREAK = timedelta(days=2)
LIMITS = CaptureLimits(min_executions=1, recheck_after=timedelta(0))

pytestmark = pytest.mark.parametrize("monitored_server", ["system"], indirect=True)

CHANGES = {
    "nothing": [],
    "analyze": ["ANALYZE orders"],
    "column added": ["ALTER TABLE orders ADD COLUMN region text"],
    "type of a column": ["ALTER TABLE orders ALTER COLUMN status TYPE varchar(9)"],
    "setting of the database": ["ALTER DATABASE {} SET enable_bitmapscan = off", "ANALYZE orders"],
    "setting taken back": ["ALTER DATABASE {} RESET enable_bitmapscan"],
    "setting of the server": ["ALTER SYSTEM SET enable_bitmapscan = off", "SELECT pg_reload_conf()"],
    "setting of the server taken back": ["ALTER SYSTEM RESET enable_bitmapscan", "SELECT pg_reload_conf()"],
    "setting of a role": ["ALTER ROLE outsider SET work_mem = '64kB'"],
    "growth": ["INSERT INTO orders SELECT id + 1000 * g, 1, placed, 'new', 1 FROM orders, generate_series(1, 8) g"],
    "index dropped": ["DROP INDEX orders_customer", "ANALYZE orders"],
    "index made": ["CREATE INDEX orders_again ON orders (customer_id)"],
    "other data": ["UPDATE orders SET customer_id = id % 3", "ANALYZE orders"],
}
AFTERWARDS = ("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()", "ALTER ROLE outsider RESET ALL")


@dataclass
class Story:
    """A database that is read after every change."""

    server: object
    database: str
    store: SqlStore
    at: datetime = NOW
    plans: list[int] = field(default_factory=lambda: [0])

    def change(self, session, statements):
        """Make a change, collect, and explain an incident that began with that reading."""
        for statement in statements:
            session.execute(sql.SQL(statement).format(sql.Identifier(self.database)))
        self.at += BREAK
        self.collect(session)
        hashes = {"plan_hash": self.plans[-1], "previous_plan_hash": self.plans[-2]}
        times = dict.fromkeys(("began_at", "opened_at", "updated_at"), self.at)
        number = query_hash_of(self.server, self.database, LIKE)
        incident = replace(PLAN_REGRESSION, database=self.database, query_hash=number, **hashes, **times)
        return explain_incident(self.store, incident, Engine.POSTGRES)

    def collect(self, session):
        session.execute(STATEMENT)
        ref = DatabaseRef("prod", self.database)
        state = self.store.capture_states([ref])[ref]
        provider = provider_of(self.server, "mon_reader", instance="prod")
        read = read_database(provider, ref, state, budget(), self.at, LIMITS, BREAK)
        assert self.store.record([read]) == frozenset()
        number = query_hash_of(self.server, self.database, LIKE)
        self.plans += [plan.plan_hash for plan in read.plans if plan.query_hash == number]


@pytest.fixture(scope="module")
def explained(monitored_server, tmp_path_factory):
    """Explanation by change."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('causes')}/store.db", clock=lambda: NOW)
    store.upgrade()
    with fresh_database(monitored_server, *SCHEMA) as name, connect(monitored_server, name) as session:
        story = Story(monitored_server, name, store)
        try:
            story.collect(session)
            story.change(session, [])
            yield {change: story.change(session, statements) for change, statements in CHANGES.items()}
        finally:
            for statement in AFTERWARDS:
                session.execute(statement)
            store.close()


def suspected(found):
    return [(one.candidate.kind, one.candidate.about) for one in found.ranked]


@pytest.mark.parametrize(
    ("change", "first", "what"),
    [
        ("analyze", (CauseKind.STATISTICS, ""), "statistics of public.orders were updated at 2"),
        ("column added", (CauseKind.TABLE, "region"), "column region of public.orders is new: none became text"),
        ("type of a column", (CauseKind.TABLE, "status"), "column status of public.orders was changed: text became"),
        (
            "setting of the database",
            (CauseKind.SETTING, "enable_bitmapscan"),
            "setting enable_bitmapscan: on became off",
        ),
        ("setting of the server", (CauseKind.SETTING, "enable_bitmapscan"), "setting enable_bitmapscan: on became off"),
        ("setting of a role", (CauseKind.SETTING, "work_mem of role outsider"), "setting work_mem of role outsider"),
        ("growth", (CauseKind.VOLUME, ""), "table public.orders grew from about 1,000 to 8,400 rows (x8.4)"),
        ("index dropped", (CauseKind.INDEX, "orders_customer"), "index orders_customer of public.orders is gone"),
        ("index made", (CauseKind.INDEX, "orders_again"), "index orders_again of public.orders is new"),
        (
            "other data",
            (CauseKind.DISTRIBUTION, "customer_id"),
            "n_distinct of public.orders.customer_id went from 100 to 3, its most common value from 89 % to 33 % of",
        ),
    ],
)
def test_what_somebody_changed_is_suspected_first(explained, change, first, what):
    found = explained[change]
    assert suspected(found)[0] == first
    assert found.ranked[0].candidate.what.startswith(what)


def test_what_did_not_change_is_not_suspected(explained):
    assert suspected(explained["nothing"]) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("setting of the database", "the plans differ in just that: public.orders: Bitmap Heap Scan"),
        ("index dropped", "the former plan went through it"),
        ("index made", "the present plan goes through it and the former one did not"),
    ],
)
def test_what_the_plans_show_makes_a_cause_likely(explained, change, told):
    first = explained[change].ranked[0]
    assert first.word == "likely"
    assert first.evidence[-1].startswith(told)
    assert explained[change].likely_cause == first.line


def test_other_changes_of_the_same_moment_stand_behind(explained):
    assert (CauseKind.DISTRIBUTION, "customer_id") in suspected(explained["index dropped"])[1:]
    assert suspected(explained["other data"])[1:] == []


def test_a_role_without_rights_tells_what_it_may_see(monitored_server, steady_database):
    with provider_of(monitored_server, "outsider").open(steady_database, budget()) as reader:
        facts = reader.read_facts()
    assert {"server started", "timeline", "PostgreSQL version", "setting work_mem", "role settings"} <= facts.keys()
    assert facts["replica role"] == "primary"


def test_facts_of_tables_come_with_their_plans(monitored_server, steady_database):
    with connect(monitored_server, steady_database) as session:
        session.execute(STATEMENT)
    key = StatementKey(query_hash_of(monitored_server, steady_database, LIKE), 0, "")
    with provider_of(monitored_server, "mon_reader").open(steady_database, budget()) as reader:
        assert reader.read_table_facts(["public.orders"]) == {}
        reader.read_plans([key])
        facts = reader.read_table_facts([])
    assert facts["rows of public.orders"] == "1000"
    assert facts["columns of public.orders"].startswith('{"customer_id":"integer","id":"integer not null",')
    assert '"orders_customer":"CREATE INDEX orders_customer ON public.orders' in facts["indexes of public.orders"]
