from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.verdict.normal.baseline import without_excluded
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline.services.rebuild_baselines import excluded_spans
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION
from dbplanmon_pipeline_tests.core.verdict.workloads import NOON, Workload

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("scope", "database", "query", "blanked"),
    [
        (IncidentScope.QUERY, "db1", 2, {("db1", 2)}),
        (IncidentScope.DATABASE, "db1", 0, {("db1", 2), ("db1", 4)}),
        (IncidentScope.INSTANCE, "", 0, {("db0", 1), ("db1", 2), ("db0", 3), ("db1", 4)}),
    ],
)
def test_an_incident_keeps_what_it_is_about_from_being_learnt(scope, database, query, blanked):
    incident = replace(
        PLAN_REGRESSION, scope=scope, instance="shop", database=database, query_hash=query, closed_at=None
    )
    incident = replace(incident, began_at=NOON)
    frame = Workload(4, 10).frame(2)
    spans = excluded_spans([incident], frame, NOON + HOUR)
    assert {(span.start, span.end) for span in spans} == {(NOON, NOON + HOUR)}
    rows = series_rows(frame, 0, epoch_us(NOON + HOUR))
    left = without_excluded(rows, spans, frame.databases)
    assert not left.query_hash.size or left.counts.min() == 10
    everything = {("db0", 1), ("db1", 2), ("db0", 3), ("db1", 4)}
    kept = {
        (frame.databases[number].database, query)
        for number, query in zip(left.database_id.tolist(), left.query_hash.tolist(), strict=True)
    }
    assert kept == everything - blanked
