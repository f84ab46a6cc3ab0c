import os
import time

import psycopg
import pytest

from dbplanmon_pipeline.cli.grants import postgres_grants
from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.providers.postgres import PostgresProvider
from dbplanmon_pipeline_tests.support.postgres import any_binaries, connect, fresh_database

pytestmark = pytest.mark.postgres
USER = 'Plan "mon"'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with PostgresServer(any_binaries(), tmp_path_factory.mktemp("grants")) as server:
        yield server


@pytest.mark.parametrize("plans", [False, True])
def test_script_gives_what_the_monitor_needs_and_can_be_repeated(server, plans):
    user = f"{USER} {plans} {os.getpid()}"
    with fresh_database(server) as database:
        for _ in range(2):
            with connect(server, database) as admin:
                admin.execute(postgres_grants(user, plans=plans).encode())
        provider = PostgresProvider(instance="pg", host="127.0.0.1", port=server.port, user=user, sslmode="disable")
        with provider.open(database, Budget(time.monotonic() + 30, time.monotonic)) as reader:
            found = reader.capabilities()
            reader.read_counters()
    allowed = {"pg_stat_statements", "pg_stat_statements_loaded", "read_all_stats", "own_statements_uncounted"}
    assert {name for name in allowed if found.has(name)} == allowed
    assert found.has("read_plans") is plans


def test_role_cannot_write(server):
    with fresh_database(server, "CREATE TABLE public.t (a int)") as database:
        with connect(server, database) as admin:
            admin.execute(postgres_grants("watcher", plans=True).encode())
        with connect(server, database, "watcher") as watcher:
            for statement in ("INSERT INTO public.t VALUES (1)", "CREATE TABLE public.u (a int)"):
                with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege)):
                    watcher.execute(statement)
