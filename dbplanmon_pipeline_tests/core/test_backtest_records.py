"""Alerts of a back-test as other programs read them."""

from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.backtest_records import COLUMNS, alert_cells
from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline_tests.store.samples import incident

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scope", "query_hash", "written"),
    [
        (IncidentScope.QUERY, 0, "0000000000000000"),
        (IncidentScope.QUERY, -1, "ffffffffffffffff"),
        (IncidentScope.DATABASE, 0, ""),
        (IncidentScope.INSTANCE, 0, ""),
    ],
)
def test_each_alert_on_a_statement_has_its_number(scope, query_hash, written):
    cells = alert_cells(NOON, incident(scope=scope, query_hash=query_hash))
    assert cells[COLUMNS.index("query_hash")] == written
    assert cells[COLUMNS.index("raised_at")] == "2026-03-02T12:00:00+00:00"
