"""KPIs from the settings file to the message: real servers, real logins, a real store, the log channel."""

import logging
from datetime import timedelta

import pytest

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.providers.sqlserver.drivers import DriverKind
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import answering, driver_of, one_row
from dbplanmon_pipeline_tests.services.fleets import START
from dbplanmon_pipeline_tests.support.postgres import connect
from dbplanmon_pipeline_tests.support.tds import TdsServer

SECRET = "s3cret-Of-The-Kpi"


def monitor_of(folder, clock, **sections):
    return Monitor(Settings.model_validate({"state_dir": folder, "environment": "test", **sections}), clock)


@pytest.fixture
def clock():
    return FixedClock(START)


def test_a_breach_on_postgresql_is_told_and_its_end_too(postgres_server, postgres_database, tmp_path, clock, caplog):
    caplog.set_level(logging.INFO)
    with connect(postgres_server, postgres_database) as admin:
        admin.execute("CREATE TABLE orders (id int)")
        admin.execute("INSERT INTO orders VALUES (1), (2), (3)")
    place = {"instance": "pg", "database": postgres_database}
    server = {"server": "127.0.0.1", "port": postgres_server.port, "sslmode": "disable"}
    monitor = monitor_of(
        tmp_path,
        clock,
        instances=[{"name": "pg", "engine": "postgres", **server, "login": {"user": "postgres"}}],
        kpis=[
            {**place, "name": "open_orders", "sql": "SELECT count(*) FROM orders", "maximum": 2, "severity": "high"},
            {**place, "name": "thief", "sql": "DELETE FROM orders RETURNING id", "maximum": 2},
        ],
    )
    for step in range(5):
        with monitor.session() as session:
            session.run_kpis()
            session.process_alerts()
        if step == 0:
            with connect(postgres_server, postgres_database) as admin:
                assert admin.execute("DELETE FROM orders WHERE id = 1").rowcount == 1, "nobody stole it"
        clock.advance(timedelta(minutes=5))
    told = [record for record in caplog.records if record.name == "dbplanmon_pipeline.alerts"]
    subjects = [record.getMessage() for record in told]
    where = f"pg/{postgres_database}"
    assert [subject for subject in subjects if "open_orders" in subject] == [
        f"[high] {where}: KPI open_orders is 3, above the maximum of 2",
        f"[ok] {where}: KPI open_orders is within its limits again (2) after 15 min",
    ]
    assert [subject for subject in subjects if "thief" in subject and "cannot be read" in subject]
    with connect(postgres_server, postgres_database) as admin:
        assert admin.execute("SELECT count(*) FROM orders").fetchone() == (2,)


def test_on_sql_server_a_kpi_comes_under_its_own_login(tmp_path, clock, monkeypatch):
    monkeypatch.setenv("KPI_PASSWORD", SECRET)
    logins = []
    figures = answering(TRANCOUNT=one_row(1), orders=one_row(7))

    def handler(request):
        logins.append(request.login)
        return figures(request)

    with TdsServer(handler) as server:
        place = {"server": "127.0.0.1", "port": server.port, "encrypt": "optional"}
        instance = {"name": "sql", "engine": "sqlserver", "databases": ["shop"], **place}
        own = {"user": "kpi", "password": "env:KPI_PASSWORD", "least_privilege": True}
        monitor = monitor_of(
            tmp_path,
            clock,
            instances=[
                {
                    **instance,
                    "login": {"user": "mon", "password": "plain"},
                    "options": {"driver": driver_of(DriverKind.MICROSOFT).name_or_path},
                }
            ],
            kpis=[
                {"name": "open_orders", "instance": "sql", "database": "shop", "login": own, "maximum": 10}
                | {"sql": "SELECT open_orders FROM orders"}
            ],
        )
        with monitor.session() as session:
            (result,) = session.run_kpis().results
    assert (result.state.value, result.value, result.message) == ("ok", 7.0, "")
    assert {login["user"] for login in logins} == {"kpi"}
