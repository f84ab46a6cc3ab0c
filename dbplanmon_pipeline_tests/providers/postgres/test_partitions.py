"""Plans of partitioned tables on two real servers: whole, whatever the values, and the same with one partition more."""

import pytest

from dbplanmon_pipeline.core.plans.stored import shown_tree_of
from dbplanmon_pipeline_tests.providers.postgres.monitored import plan_of, run

pytestmark = pytest.mark.postgres

STATEMENT = "SELECT count(*) FROM readings r WHERE r.sensor = 5 AND r.day BETWEEN '2026-01-05' AND '2026-02-05'"
LIKE = "SELECT count(*) FROM readings%"


def month(number: int) -> str:
    span = f"('2026-{number:02}-01') TO ('2026-{number + 1:02}-01')"
    return f"CREATE TABLE readings_2026_{number:02} PARTITION OF readings FOR VALUES FROM {span}"


@pytest.fixture
def readings(monitored_server, database):
    run(
        monitored_server,
        database,
        "CREATE TABLE readings (sensor int, day date, value float8) PARTITION BY RANGE (day)",
        *map(month, range(1, 6)),
        "INSERT INTO readings SELECT g % 500, date '2026-01-01' + g % 140, g FROM generate_series(1, 20000) g",
        "CREATE INDEX ON readings (sensor, day)",
        "ANALYZE readings",
    )
    return monitored_server, database


def scans(plan):
    return [node for node in shown_tree_of(plan).operators() if node.relation]


def test_all_partitions_are_one_operator(readings):
    plan = plan_of(*readings, STATEMENT, LIKE)
    (scan,) = scans(plan)

    assert (scan.relation, scan.alias, scan.attributes["Partitions"]) == ("readings_*_*", "r", 5)
    assert plan.body.count('"Relation Name":"readings_2026_') == 5
    assert "r.sensor = $1" in " ".join(text for node in shown_tree_of(plan).operators() for _, text in node.conditions)


def test_the_partition_of_a_new_month_is_no_new_plan(readings):
    before = plan_of(*readings, STATEMENT, LIKE)
    run(*readings, month(6), "INSERT INTO readings SELECT g % 500, '2026-06-05', g FROM generate_series(1, 4000) g")
    run(*readings, "ANALYZE readings")
    after = plan_of(*readings, STATEMENT, LIKE)

    assert scans(after)[0].attributes["Partitions"] == 6
    assert before.plan_hash == after.plan_hash


def test_an_index_that_all_partitions_lose_is_a_new_plan(readings):
    before = plan_of(*readings, STATEMENT, LIKE)
    run(*readings, "DROP INDEX readings_sensor_day_idx")
    after = plan_of(*readings, STATEMENT, LIKE)

    assert [node.name for node in scans(after)] == ["Seq Scan"]
    assert before.plan_hash != after.plan_hash
