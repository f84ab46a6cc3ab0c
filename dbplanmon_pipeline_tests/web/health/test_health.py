"""What probes are told: by a real server, over a real store that a simulated fleet filled."""

import asyncio
import shutil
import threading
from datetime import timedelta
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from dbplanmon_pipeline.composition.daemon import DaemonWatch
from dbplanmon_pipeline.composition.monitor import utc_now
from dbplanmon_pipeline.core.health import Finding, Health
from dbplanmon_pipeline.core.ports import Alert, JobState
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline.web.health import checks
from dbplanmon_pipeline.web.health.board import Board
from dbplanmon_pipeline.web.health.checks import Check, Tag
from dbplanmon_pipeline_tests.services.fleets import START, STEP
from dbplanmon_pipeline_tests.web.health.monitored import FLEET, watched

TAGS = {"storage": ["readiness"], "targets": ["readiness"], "daemon": ["liveness"]}
NAMES = [*TAGS, "deliveries", "breakers", "disk", "coverage", "collector_cost", "baselines", "query_store"]


@pytest.fixture
def page(tmp_path):
    with watched(tmp_path) as page:
        yield page


@pytest.fixture
def read(page):
    """Read three times."""
    for _ in range(3):
        page.session.collect()
        page.clock.advance(STEP)
    page.forget()
    return page


def test_an_empty_fleet_is_healthy(tmp_path):
    with watched(tmp_path, "") as page:
        answer = page.get("/health")
        assert answer.status_code == 200
        document = answer.json()
    assert document["status"] == "healthy"
    assert [check["name"] for check in document["checks"]] == NAMES
    assert {check["status"] for check in document["checks"]} == {"healthy"}


def test_every_check_tells_name_status_tags_duration_age_and_detail(read):
    found = read.checks()
    assert {name: found[name]["tags"] for name in TAGS} == TAGS
    for check in found.values():
        assert check.keys() == {"name", "status", "tags", "duration_ms", "age_seconds", "detail"}
        assert check["detail"]
        assert check["duration_ms"] >= 0


def test_live_asks_nothing(tmp_path):
    with watched(tmp_path) as page:
        shutil.rmtree(tmp_path / ".dbplanmon")
        answer = page.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


def test_ready_looks_at_storage_and_targets_only(read):
    answer = read.get("/health/ready")
    assert answer.status_code == 200
    assert [check["name"] for check in answer.json()["checks"]] == ["storage", "targets"]
    assert answer.json()["status"] == "healthy"


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path):
    with watched(tmp_path, FLEET, store_there=False) as page:
        answer = page.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["status"] == "unhealthy"
        assert "dbplanmon store upgrade" in page.checks("/health/ready")["storage"]["detail"]
        assert page.get("/health").status_code == 503
        assert page.get("/health/live").status_code == 200
        assert not (tmp_path / ".dbplanmon").exists()


def test_a_store_that_comes_later_is_found(tmp_path):
    with watched(tmp_path, FLEET, store_there=False) as page:
        assert page.get("/health/ready").status_code == 503
        page.session.store.upgrade()
        page.forget()
        assert page.checks("/health/ready")["storage"]["status"] == "healthy"


def test_a_fleet_that_was_never_read_is_degraded(page):
    check = page.checks()["targets"]
    assert (check["status"], check["detail"][:35]) == ("degraded", "none of 3 databases was read yet: s")
    assert page.get("/health/ready").status_code == 200


@pytest.mark.parametrize(
    ("failing", "threshold", "status", "code"),
    [(1, 1.0, "degraded", 200), (3, 1.0, "unhealthy", 503), (2, 0.5, "unhealthy", 503)],
    ids=["one of three", "all", "more than the threshold"],
)
def test_silent_targets_count_by_their_share(tmp_path, failing, threshold, status, code):
    settings = (
        f"instances: [{{name: fleet, engine: simulated, databases: 3, options: {{failing: {failing}}}}}]\n"
        f"collection: {{failure_threshold: {threshold}}}\n"
    )
    with watched(tmp_path, settings) as page:
        for _ in range(3):
            page.session.collect()
            page.clock.advance(STEP)
        page.forget()
        assert page.get("/health/ready").status_code == code
        assert page.checks()["targets"]["status"] == status


def test_readings_grow_stale(read):
    assert read.checks()["targets"]["status"] == "healthy"
    read.clock.advance(STEP * 3)
    read.forget()
    check = read.checks()["targets"]
    assert (check["status"], check["detail"]) == ("unhealthy", "3 of 3 databases not read within 15 min")


def test_a_message_that_waits_too_long_is_told(read):
    read.session.store.add_alerts(
        [Alert("a1", "i1", "opened", "dba", "high", read.clock(), "subject", "body")], decided_at=read.clock()
    )
    for wait, status in ((timedelta(minutes=14), "healthy"), (timedelta(minutes=2), "degraded")):
        read.clock.advance(wait)
        read.forget()
        assert read.checks()["deliveries"]["status"] == status
    read.clock.advance(timedelta(hours=2))
    read.forget()
    check = read.checks()["deliveries"]
    assert (check["status"], check["detail"]) == ("unhealthy", "messages wait for more than 2:00:00 for dba")


def test_a_message_that_was_given_up_is_told_for_a_day(read):
    now = read.clock()
    store = read.session.store
    store.add_alerts([Alert("a1", "i1", "opened", "dba", "high", now, "subject", "body")], decided_at=now)
    store.give_up_alerts("dba", now + timedelta(seconds=1), "no", now)
    read.forget()
    assert "1 messages were given up" in read.checks()["deliveries"]["detail"]
    read.clock.advance(timedelta(hours=25))
    read.forget()
    assert read.checks()["deliveries"]["status"] == "healthy"


def test_who_is_left_alone_is_named(read):
    resting = JobState("breaker:fleet", 5, read.clock(), None, read.clock() + timedelta(minutes=5), "refused")
    read.session.store.save_job_states([resting])
    read.forget()
    check = read.checks()["breakers"]
    assert (check["status"], check["detail"]) == ("degraded", "1 left alone after failures in a row: fleet")


@pytest.mark.parametrize(("free", "health"), [(5e9, Health.HEALTHY), (5e8, Health.DEGRADED), (5e7, Health.UNHEALTHY)])
def test_a_full_disk_is_told(tmp_path, monkeypatch, free, health):
    # No disk can be filled in a test without harm to others.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert checks.disk(tmp_path / "not" / "there" / "yet").health is health


def test_details_are_for_those_who_may_look(tmp_path):
    with watched(tmp_path, "web: {anonymous: nobody}\n" + FLEET) as page:
        assert page.get("/health").json().keys() == {"status", "age_seconds"}
        assert page.get("/health/ready").status_code == 200
        assert page.get("/metrics").status_code in (401, 303)


def answered(board: Board, *tags: Tag) -> dict[str, tuple[Health, str]]:
    return {line.name: (line.finding.health, line.finding.summary) for line in asyncio.run(board.judge(*tags))}


def test_a_check_that_hangs_is_unhealthy_and_the_others_answer():
    may_end = threading.Event()
    times = []
    well = Check(("well",), (), lambda: {"well": Finding(Health.HEALTHY, "fine")})
    hanging = Check(("hangs",), (Tag.READINESS,), lambda: {"hangs": Finding(Health.HEALTHY, str(may_end.wait(30)))})
    board = Board([well, hanging], lambda name, seconds: times.append(name), check_seconds=0.2)
    late = (Health.UNHEALTHY, "no answer within 0.2 s")
    before = threading.active_count()
    for _ in range(3):
        assert answered(board) == {"well": (Health.HEALTHY, "fine"), "hangs": late}
    assert threading.active_count() - before == 1
    assert answered(board, Tag.READINESS) == {"hangs": late}
    may_end.set()
    board.end(10)
    assert answered(board)["hangs"] == (Health.HEALTHY, "True")
    assert sorted(times) == ["hangs", "well"]


def test_a_check_that_fails_is_unhealthy_without_telling_what_it_saw(caplog):
    def fail() -> dict[str, Finding]:
        raise ValueError("password=hunter2")

    board = Board([Check(("broken",), (), fail)], lambda name, seconds: None)
    assert answered(board) == {"broken": (Health.UNHEALTHY, "failed with ValueError")}
    assert [record.event for record in caplog.records] == ["health_check_failed"]


def loaded(watch: DaemonWatch) -> DaemonWatch:
    watch.finding()
    watch._loader.join(60)
    return watch


def beat(instance: dg.DagsterInstance, moment) -> None:
    for daemon in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(moment.timestamp(), daemon, "id", []))


def test_a_daemon_nobody_told_of_is_not_known():
    assert DaemonWatch(None, STEP, FixedClock(START)).finding() == Finding(
        Health.HEALTHY, "not known: DAGSTER_HOME is not set here"
    )


def test_the_daemon_is_judged_by_its_heartbeats(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    watch = loaded(DaemonWatch(tmp_path, STEP, utc_now))
    silent = watch.finding()
    assert silent.health is Health.UNHEALTHY
    assert "is dagster-daemon running?" in silent.summary
    assert {row["state"] for row in silent.rows} == {"silent"}
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        beat(instance, utc_now())
    alive = watch.finding()
    assert (alive.health, alive.summary) == (Health.DEGRADED, "collection_schedule does not run")
    assert {row["state"] for row in alive.rows} == {"alive"}


def ticked(instance: dg.DagsterInstance, moment, status: TickStatus) -> None:
    """What the daemon writes down about one tick of the collection schedule."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("dbplanmon"), "__repository__")
    origin = RemoteInstigatorOrigin(repository, "collection_schedule")
    data = ScheduleInstigatorData("*/5 * * * *", moment.timestamp())
    state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data)
    if not instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        instance.add_instigator_state(state)
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            "collection_schedule",
            InstigatorType.SCHEDULE,
            status,
            moment.timestamp(),
            run_ids=["run"] if status is TickStatus.SUCCESS else None,
            error=SerializableErrorInfo("away", [], "Away") if status is TickStatus.FAILURE else None,
            selector_id=state.selector_id,
        )
    )


def test_ticks_that_fail_or_stay_away_are_told(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    watch = loaded(DaemonWatch(tmp_path, STEP, utc_now))
    now = utc_now()
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        beat(instance, now)
        ticked(instance, now - timedelta(minutes=40), TickStatus.SUCCESS)
        late = watch.finding()
        ticked(instance, now, TickStatus.FAILURE)
        failed = watch.finding()
        ticked(instance, now + timedelta(seconds=1), TickStatus.SUCCESS)
        well = watch.finding()
    assert (late.health, failed.health, well.health) == (Health.DEGRADED, Health.DEGRADED, Health.HEALTHY)
    assert late.summary == "the newest tick of collection_schedule is 40 minutes old"
    assert failed.summary == "the newest tick of collection_schedule failed"
    assert well.summary.endswith("daemons alive, 0 runs queued")


def test_a_home_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "dagster.yaml").write_text("storage: [\n")
    watch = loaded(DaemonWatch(tmp_path, STEP, FixedClock(START)))
    finding = watch.finding()
    assert finding.health is Health.DEGRADED
    assert finding.summary.startswith(f"Dagster in {tmp_path} cannot be read: ")
