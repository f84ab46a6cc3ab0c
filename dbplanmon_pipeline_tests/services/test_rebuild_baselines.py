from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.incidents import IncidentScope
from dbplanmon_pipeline.services.rebuild_baselines import excluded_spans
from dbplanmon_pipeline_tests.core.incidents import PLAN_REGRESSION
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
    spans = excluded_spans([incident], Workload(4, 10).frame(2), NOON + HOUR)
    assert {(span.ref.database, span.query_hash) for span in spans} == blanked
    assert {(span.start, span.end) for span in spans} == {(NOON, NOON + HOUR)}
