"""Each wire test runs once per ODBC driver."""

import pytest

from dbplanmon_pipeline.providers.sqlserver.drivers import Driver, DriverKind
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import driver_of
from dbplanmon_pipeline_tests.support.tds.certificates import Certificates, make_certificates


@pytest.fixture(params=list(DriverKind), ids=str)
def driver(request) -> Driver:
    return driver_of(request.param)


@pytest.fixture
def microsoft() -> Driver:
    return driver_of(DriverKind.MICROSOFT)


@pytest.fixture
def freetds() -> Driver:
    return driver_of(DriverKind.FREETDS)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Certificates:
    """A certificate for localhost and 127.0.0.1, and its authority."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))
