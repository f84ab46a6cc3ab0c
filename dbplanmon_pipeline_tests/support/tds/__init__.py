"""A TDS server for tests, so that real ODBC drivers run against it over a real socket."""

from dbplanmon_pipeline_tests.support.tds.answers import (
    Answer,
    Delay,
    Drop,
    Handler,
    Login,
    Request,
    Result,
    RowCount,
    ServerError,
)
from dbplanmon_pipeline_tests.support.tds.server import TdsServer

__all__ = ["Answer", "Delay", "Drop", "Handler", "Login", "Request", "Result", "RowCount", "ServerError", "TdsServer"]
