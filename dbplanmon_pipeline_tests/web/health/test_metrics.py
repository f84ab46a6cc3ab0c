"""What Prometheus is told: over HTTP, parsed by its own parser, from a store that others write at the same time."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import Alert, Delivery, JobState
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.web.metrics.names import METRICS, PREFIX
from dbplanmon_pipeline_tests.services.alert_stories import incident
from dbplanmon_pipeline_tests.services.fleets import STEP
from dbplanmon_pipeline_tests.web.health.monitored import FLEET, watched

PAGE = (Path(__file__).parents[3] / "docs" / "health.md").read_text("utf-8")
KPIS = """\
kpis:
  - {name: busy, instance: fleet, database: sim0001, sql: "SELECT executions FROM work", interval: 5m, maximum: -1}
  - {name: calm, instance: fleet, database: sim0001, sql: "SELECT executions FROM work", interval: 5m, minimum: 0}
"""


@pytest.fixture
def page(tmp_path):
    with watched(tmp_path) as page:
        yield page


def samples(page) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name without our prefix and by the values of the labels, in the order in which we name them."""
    page.forget()
    answer = page.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix(PREFIX), tuple(sample.labels[name] for name in in_order(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def in_order(labels: dict[str, str]) -> list[str]:
    return sorted(labels, key=lambda name: (name in ("database", "le"), name))


def collect(page, times: int = 1) -> None:
    for _ in range(times):
        page.session.collect()
        page.clock.advance(STEP)


def test_both_forms_of_the_exposition_are_valid(page):
    collect(page, 2)
    plain = page.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert {family.name for family in text_string_to_metric_families(plain.text)} > {f"{PREFIX}store_up"}
    opened = page.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")
    assert {family.name for family in open_metrics_families(opened.text)} > {f"{PREFIX}store_up"}


def test_every_figure_is_documented_and_every_documented_one_is_there(page):
    collect(page)
    found = re.findall(rf"^# TYPE {PREFIX}(\w+) (\w+)$", page.get("/metrics").text, re.MULTILINE)
    documented = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", PAGE, re.MULTILINE)
    assert sorted(found) == sorted(documented)
    assert sorted(found) == sorted((metric.name, metric.kind) for metric in METRICS)


def test_the_labels_of_every_figure_are_documented():
    told = dict(re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram) \| ([^|]*) \|", PAGE, re.MULTILINE))
    assert {name: tuple(re.findall(r"`(\w+)`", cell)) for name, cell in told.items()} == {
        metric.name: metric.labels for metric in METRICS
    }


def test_work_counts_from_the_start_of_the_process(tmp_path):
    with watched(tmp_path) as page:
        collect(page, 3)
        recorded = samples(page)["samples_collected_total", ("fleet",)]
        assert recorded > 0
    with watched(tmp_path) as page:
        page.clock.advance(3 * STEP)
        begun = samples(page)
        assert begun["samples_collected_total", ("fleet",)] == 0
        collect(page)
        found = samples(page)
    assert found["samples_collected_total", ("fleet",)] > 0
    assert found["readings_total", ("fleet", "ok")] == 3
    assert found["connections_opened_total", ("fleet",)] == 3
    assert found["plan_collection_duration_seconds_count", ("fleet",)] == 3
    assert found["plan_collection_duration_seconds_bucket", ("fleet", "+Inf")] == 3


def test_reading_the_figures_again_counts_nothing_twice(page):
    collect(page, 2)
    first = samples(page)
    assert first["readings_total", ("fleet", "first_reading")] == 3
    assert {k: v for k, v in samples(page).items() if "_total" in k[0] and k[0].startswith("re")} == {
        k: v for k, v in first.items() if "_total" in k[0] and k[0].startswith("re")
    }


def test_retention_never_makes_a_counter_fall(page):
    collect(page, 3)
    before = samples(page)
    with page.session.store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM collection_log")
    after = samples(page)
    counters = [key for key in before if key[0].startswith(("samples", "readings", "connections", "plan_"))]
    assert {key: after[key] for key in counters} == {key: before[key] for key in counters}


def test_failed_readings_are_counted_apart(tmp_path):
    settings = "instances: [{name: fleet, engine: simulated, databases: 3, options: {failing: 1}}]\n"
    with watched(tmp_path, settings) as page:
        collect(page, 2)
        found = samples(page)
    assert found["readings_total", ("fleet", "failed")] == 2
    assert found["connections_opened_total", ("fleet",)] == 4
    assert found["databases", ("failed",)] == 1
    assert found["databases", ("ok",)] == 2


def test_incidents_count_by_severity_and_open_ones_are_shown(page):
    samples(page)
    opened = [incident(number, page.clock()) for number in (1, 2)]
    severity = opened[0].severity.value
    page.session.store.save_incident_changes(
        [IncidentChange(IncidentEvent.OPENED, one, page.clock()) for one in opened]
    )
    found = samples(page)
    assert found["regressions_detected_total", (opened[0].instance, severity)] == 2
    assert found["open_incidents", (severity,)] == 2
    assert found["open_incidents", ("critical",)] == 0


def test_an_incident_of_an_old_interval_counts_when_it_is_found(page):
    """The analysis may catch up on hours after an outage."""
    samples(page)
    page.clock.advance(timedelta(hours=6))
    old = incident(7, page.clock() - timedelta(hours=5))
    page.session.store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, old, old.opened_at)])
    assert samples(page)["regressions_detected_total", (old.instance, old.severity.value)] == 1


def test_deliveries_count_by_channel_and_waiting_ones_are_shown(page):
    samples(page)
    store, now = page.session.store, page.clock()
    store.add_alerts([Alert(f"a{n}", "i", "opened", "dba", "high", now, "s", "b") for n in range(3)], decided_at=now)
    store.record_deliveries([Delivery("a0", now, True), Delivery("a1", now, False, "refused", now + STEP)])
    page.clock.advance(timedelta(minutes=2))
    found = samples(page)
    assert found["alerts_sent_total", ("dba",)] == 1
    assert found["alerts_failed_total", ("dba",)] == 1
    assert found["alerts_unsent", ("dba", "pending")] == 2
    assert found["alerts_overdue_seconds", ("dba",)] == 120


def test_freshness_lag_and_cost_are_told_by_database(page):
    collect(page, 2)
    assert not any(name == "collector_cost_seconds" for name, _ in samples(page)), "a simulated server tells no cost"
    with page.session.store._database.write() as connection:
        connection.exec_driver_sql("UPDATE collection_log SET cost_ms = 250")
    found = samples(page)
    ages = {labels: value for (name, labels), value in found.items() if name == "collection_last_success_age_seconds"}
    assert ages == {("fleet", f"sim000{number}"): STEP.total_seconds() for number in (1, 2, 3)}
    assert found["collector_cost_seconds", ("fleet", "sim0001")] == 0.25


def test_breakers_and_jobs_are_told(page):
    now = page.clock()
    page.session.store.save_job_states(
        [
            JobState("breaker:fleet", 5, now, None, now + STEP),
            JobState("channel:dba", 1, now, now),
            JobState("collection", 2, now, now - STEP),
        ]
    )
    found = samples(page)
    assert (found["breaker_open", ("instance", "fleet")], found["breaker_open", ("channel", "dba")]) == (1, 0)
    assert found["job_consecutive_failures", ("collection",)] == 2
    assert found["job_last_success_age_seconds", ("collection",)] == STEP.total_seconds()


def test_kpis_are_told_by_state_and_value(tmp_path):
    with watched(tmp_path, FLEET + KPIS) as page:
        page.clock.advance(timedelta(minutes=10))
        page.session.run_kpis()
        found = samples(page)
    assert [found["kpi_state", ("busy", state)] for state in ("ok", "breach")] == [0, 1]
    assert [found["kpi_state", ("calm", state)] for state in ("ok", "breach")] == [1, 0]
    assert found["kpi_value", ("busy",)] > 0


def test_a_fleet_of_any_size_has_few_labels(tmp_path):
    settings = "".join(f"  - {{name: s{n:03d}, engine: simulated, databases: 2}}\n" for n in range(70))
    with watched(tmp_path, f"instances:\n{settings}") as page:
        collect(page, 2)
        found = samples(page)
    instances = {labels[0] for name, labels in found if name == "samples_collected_total"}
    databases = {labels for name, labels in found if name == "collection_last_success_age_seconds"}
    assert (len(instances), len(databases)) == (51, 51)
    assert "other" in instances
    assert ("other", "other") in databases
    assert sum(v for (name, labels), v in found.items() if name == "readings_total" and "ok" in labels) == 140


def test_a_store_that_is_away_is_told_and_counters_stay(page, tmp_path):
    collect(page, 2)
    before = samples(page)
    store = tmp_path / ".dbplanmon" / "store.db"
    page.session.store.close()
    page.app.state.context.session.store.close()
    store.rename(store.with_suffix(".away"))
    away = samples(page)
    assert (away["store_up", ()], before["store_up", ()]) == (0, 1)
    assert away["readings_total", ("fleet", "ok")] == before["readings_total", ("fleet", "ok")] == 3
    store.with_suffix(".away").rename(store)
    assert samples(page)["store_up", ()] == 1


def test_no_statement_and_no_literal_is_in_the_figures(page):
    collect(page, 2)
    text = page.get("/metrics").text
    assert "select" not in text.lower().replace("collect", "")


def test_nothing_is_executed_on_a_monitored_database(page):
    collect(page)
    assert samples(page)["remediations_executed_total", ()] == 0


def test_a_reading_that_waited_in_the_spool_counts(page):
    """It is logged long after it began."""
    samples(page)
    page.clock.advance(timedelta(hours=8))
    samples(page)
    late = open_store(page.session.store.url, clock=page.clock)
    with late._database.write() as connection:
        connection.exec_driver_sql(
            'INSERT INTO monitored_database (database_id, instance, "database", engine, first_seen)'
            " VALUES (1, 'fleet', 'sim0001', 'simulated', '2026-01-01 00:00:00.000000')"
        )
        connection.exec_driver_sql(
            "INSERT INTO collection_log (database_id, started_at, status, error_class, message, rows, statements_read,"
            " new_statements, new_plans, plan_changes, resets, duration_ms, recorded_at)"
            f" VALUES (1, '{page.clock() - timedelta(hours=7):%Y-%m-%d %H:%M:%S.%f}', 'ok', '', '', 20, 20, 0, 0, 0, 0,"
            f" 12.5, '{page.clock():%Y-%m-%d %H:%M:%S.%f}')"
        )
    late.close()
    found = samples(page)
    assert found["samples_collected_total", ("fleet",)] == 20
    assert DatabaseRef("fleet", "sim0001") in page.session.store.known_databases()
