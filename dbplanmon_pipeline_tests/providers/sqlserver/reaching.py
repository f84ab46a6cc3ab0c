"""How tests reach the TDS server: drivers, settings, budgets, sessions, things that happen meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, Encrypt
from dbplanmon_pipeline.providers.sqlserver.drivers import Driver, DriverKind, find_driver
from dbplanmon_pipeline.providers.sqlserver.gate import ConnectionGate
from dbplanmon_pipeline.providers.sqlserver.session import Session, connect
from dbplanmon_pipeline_tests.support.tds import Request, Result, RowCount, TdsServer
from dbplanmon_pipeline_tests.support.tds.drivers import driver_path, odbc

USER = "mon"
PASSWORD = "s3cret-Of-The-Monitor"
TARGET = "sql1/shop"


def driver_of(kind: DriverKind) -> Driver:
    """A driver that is installed here; skips or fails where it is not."""
    odbc()
    return find_driver(str(driver_path(kind.value)))


def budget(seconds: float = 60.0, cancelled: Callable[[], bool] = lambda: False) -> Budget:
    return Budget(time.monotonic() + seconds, time.monotonic, cancelled)


def settings_of(server: TdsServer | int, driver: Driver | None = None, **more) -> ConnectionSettings:
    """Settings for a server of a test, or for a port; unencrypted unless the test says otherwise."""
    port = server if isinstance(server, int) else server.port
    wanted = {"user": USER, "password": lambda: PASSWORD, "encrypt": Encrypt.OPTIONAL, **more}
    if driver is not None:
        wanted["driver"] = driver.name_or_path
    return ConnectionSettings(wanted.pop("host", "127.0.0.1"), port, **wanted)


@contextmanager
def session_to(
    server: TdsServer | int,
    driver: Driver | None = None,
    *,
    seconds: float = 60.0,
    cancelled: Callable[[], bool] = lambda: False,
    time_left: Budget | None = None,
    gate: ConnectionGate | None = None,
    database: str = "shop",
    **more,
) -> Iterator[Session]:
    within = time_left or budget(seconds, cancelled)
    session = connect(settings_of(server, driver, **more), database, TARGET, within, gate)
    try:
        yield session
    finally:
        session.close()


def answering(**answers):
    """A handler: the answer whose name stands in the statement, success without rows for every other one."""

    def handler(request: Request):
        return next((answer for word, answer in answers.items() if word in request.sql), RowCount(-1))

    return handler


def one_row(value: object = 1, sql_type: str = "int") -> Result:
    return Result([("a", sql_type)], [(value,)])


@contextmanager
def after(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread, some seconds from now."""
    timer = threading.Timer(seconds, act)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """True as soon as the condition holds, false when it never does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
