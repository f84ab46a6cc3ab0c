"""The ODBC drivers users have, for tests: where they are, and how each is told the same."""

import importlib.util
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dbplanmon_pipeline_tests.support.requirements import absent

DRIVERS = ("freetds", "microsoft")
_SYSTEM_LIBRARIES = Path("/usr/lib")


def odbc() -> Any:
    """pyodbc, connections not pooled; skips or fails where it cannot be loaded."""
    try:
        import pyodbc
    except ImportError as error:
        absent("pyodbc", f"pyodbc cannot be loaded: {error}")
    pyodbc.pooling = False
    return pyodbc


def driver_path(driver: str) -> Path:
    """The file of `freetds` or `microsoft`; skips or fails where it is not installed."""
    if driver == "freetds":
        found = sorted(_SYSTEM_LIBRARIES.glob("*/odbc/libtdsodbc.so"))
        return found[0] if found else absent("freetds", "FreeTDS's ODBC driver is not installed (tdsodbc)")
    spec = importlib.util.find_spec("mssql_python_odbc")
    folder = Path(spec.origin).parent / "libs" / "linux" if spec and spec.origin else None
    found = sorted(folder.glob("debian_ubuntu/x86_64/lib/libmsodbcsql-*.so*")) if folder else []
    return found[-1] if found else absent("msodbcsql", "Microsoft's ODBC driver is not installed (mssql-python-odbc)")


def connection_string(driver: str, port: int, **settings: str) -> str:
    """A connection string for the test server on the loopback, without TLS unless `settings` say so.

    Args:
        driver: `freetds` or `microsoft`.
        port: of the server.
        settings: further keywords; they replace the ones given here.
    """
    if driver == "freetds":
        own = {"Server": "127.0.0.1", "Port": str(port), "TDS_Version": "7.4", "Encryption": "off"}
    else:
        own = {"Server": f"127.0.0.1,{port}", "Encrypt": "no"}
    words = {"Driver": str(driver_path(driver)), **own, "UID": "monitor", "PWD": "not-a-secret", "Database": "Sales"}
    return ";".join(f"{key}={value}" for key, value in {**words, **settings}.items())


@contextmanager
def connected(driver: str, port: int, timeout: int = 5, **settings: str) -> Iterator[Any]:
    """An autocommit connection to the test server; `timeout` [s] is for logging in."""
    text = connection_string(driver, port, **settings)
    with closing(odbc().connect(text, autocommit=True, timeout=timeout)) as connection:
        yield connection
