"""Plans and texts: by stored number, bounded in bytes, masked, and each distinct plan once over the wire."""

from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import CaptureState, KnownStatement, StatementKey
from dbplanmon_pipeline.core.readings.query_store import counter_key
from dbplanmon_pipeline.errors import QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.plans import (
    MOST_PLAN_BYTES,
    AnsweredPlans,
    PlanSize,
    batches,
    captured,
    statement_text,
    unreadable,
)
from dbplanmon_pipeline.providers.sqlserver.stored_plans import StoredPlans
from dbplanmon_pipeline.providers.sqlserver.value_lists import value_lists
from dbplanmon_pipeline.services.read_database import CaptureLimits, read_database
from dbplanmon_pipeline_tests.core.readings.small_readings import column
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import budget, session_to
from dbplanmon_pipeline_tests.providers.sqlserver.recorded import (
    MARKED,
    Recorded,
    hash_bytes,
    keys_of,
    plan_xml,
    pretending,
    provider_to,
    reader_to,
    sent,
)
from dbplanmon_pipeline_tests.support.hourglass import Hourglass
from dbplanmon_pipeline_tests.support.tds import Delay, TdsServer

KEY = StatementKey(1, 1001, "1@0")


def key(plan_id, plan_hash=None):
    return StatementKey(plan_id, plan_hash or plan_id + 1000, counter_key(plan_id, 0))


def busy():
    return Recorded().plan(1).plan(2, query=1).plan(3).ran(1, 90).ran(2, 5).ran(3, 4)


def collected(server, driver, state, moment):
    provider = provider_to(server, driver, clock=lambda: moment)
    limits, interval = CaptureLimits(min_executions=1), timedelta(minutes=5)
    return read_database(provider, DatabaseRef("sql1", "shop"), state, budget(), moment, limits, interval)


def test_plans_and_texts_come_masked(driver):
    with TdsServer(pretending(busy()).handler()) as server, reader_to(server, driver) as reader:
        keys = keys_of(reader.read_counters())
        plans, texts = reader.read_plans(keys), reader.read_texts(keys)
    assert [(plan.query_hash, plan.plan_hash, plan.format, plan.origin) for plan in plans] == [
        (1, 1001, "showplan", "estimated"),
        (1, 1002, "showplan", "estimated"),
        (3, 1003, "showplan", "estimated"),
    ]
    assert plans[0].context == {"engine": "sqlserver", "compatibility": 150}
    assert {(text.query_hash, text.kind) for text in texts} == {(1, "SELECT"), (3, "SELECT")}
    assert all("4711" not in said for said in [*(plan.body for plan in plans), *(text.text for text in texts)])


def test_without_redaction_literals_stay():
    with TdsServer(pretending(busy()).handler()) as server, reader_to(server, redact=False) as reader:
        keys = keys_of(reader.read_counters())
        assert all("4711" in plan.body for plan in reader.read_plans(keys))
        assert all("4711" in text.text for text in reader.read_texts(keys))


def test_a_second_tick_reads_no_byte_of_a_plan(driver):
    store, later = busy(), timedelta(minutes=5)
    handler = pretending(store).handler()
    with TdsServer(handler) as server:
        first = collected(server, driver, CaptureState(None, {}, frozenset()), NOW)
        assert handler.plan_bytes_sent == sum(2 * len(plan_xml(number)) for number in (1, 2, 3))
        server.handler = pretending(store.ran(1, 11).ran(3, 6), skew=later).handler()
        known = {text.query_hash: KnownStatement(0, None, has_text=True) for text in first.texts}
        plans = frozenset(plan.plan_hash for plan in first.plans)
        state = CaptureState(first.reading, known, plans, first.reading.read_at)
        second = collected(server, driver, state, NOW + later)
        assert (column(second.rows, "execution_count"), second.plans, second.texts) == ([11, 6], (), ())
        assert server.handler.plan_bytes_sent == 0


def test_a_plan_that_is_not_kept_is_not_counted_as_new():
    store = Recorded().plan(1, xml="no plan").plan(2).ran(1, 90).ran(2, 5)
    with TdsServer(pretending(store).handler()) as server:
        found = collected(server, None, CaptureState(None, {}, frozenset()), NOW)
    assert sorted((plan.plan_hash, bool(plan.body)) for plan in found.plans) == [(1001, False), (1002, True)]
    assert found.outcome.new_plans == 1


def test_a_plan_shared_by_tenants_crosses_the_wire_once():
    handler = pretending(busy()).handler()
    with TdsServer(handler) as server:
        provider = provider_to(server)
        for number in range(5):
            with provider.open(f"tenant{number}", budget()) as reader:
                keys = keys_of(reader.read_counters())
                assert len(reader.read_plans(keys)) == (3 if number == 0 else 0)
        assert handler.plan_bytes_sent == sum(2 * len(plan_xml(number)) for number in (1, 2, 3))


def test_a_database_that_asks_a_second_time_gets_the_plan():
    answered = AnsweredPlans()
    asked = [answered.wanted(7, database) for database in ("a", "b", "b", "c", "a")]
    assert asked == [True, False, True, False, True]


def test_a_plan_that_failed_is_tried_for_the_next_database():
    answered = AnsweredPlans()
    answered.wanted(7, "a")
    answered.failed(7)
    assert answered.wanted(7, "b")


def test_plans_of_five_megabytes_come_in_batches_of_bounded_bytes(driver):
    store = Recorded()
    for number in range(1, 5):
        store.plan(number, xml=plan_xml(number, size=2_500_000 if number == 1 else 600_000))
    with TdsServer(pretending(store).handler()) as server:
        with session_to(server, driver, seconds=60.0) as session:
            plans = StoredPlans(session, AnsweredPlans(), redact=True).read([key(n) for n in range(1, 5)], "shop")
        assert sent(server, "stored_plans") == 2
    assert [plan.reason for plan in plans] == [""] * 4
    assert len(plans[0].body) > 2_500_000


def test_batches_hold_at_most_their_bytes_or_one_plan():
    sizes = [PlanSize(number, number, size, 150) for number, size in enumerate([3, 3, 9, 1, 1, 1])]
    assert [[size.size_bytes for size in batch] for batch in batches(sizes, 6)] == [[3, 3], [9], [1, 1, 1]]


@pytest.mark.parametrize(
    ("size", "reason"),
    [(None, "keeps no plan"), (0, "keeps no plan"), (MOST_PLAN_BYTES + 1, "more than 32 MB"), (MOST_PLAN_BYTES, "")],
)
def test_a_plan_that_is_missing_or_too_large_has_a_reason(size, reason):
    assert reason in unreadable(size)
    assert bool(reason) == bool(unreadable(size))


def test_too_large_plans_are_not_sent():
    store = Recorded().plan(1, xml=plan_xml(1, size=5_000)).plan(2)
    with TdsServer(pretending(store).handler()) as server:
        with session_to(server) as session:
            plans = StoredPlans(session, AnsweredPlans(), redact=True, most_bytes=4_000).read([key(1), key(2)], "shop")
        assert sent(server, "stored_plans") == 1
    assert [(plan.plan_hash, plan.reason) for plan in plans] == [
        (1001, "no plan: it takes 0 MB, more than 0 MB"),
        (1002, ""),
    ]


def test_a_plan_the_server_keeps_no_more_has_a_reason():
    store = Recorded().plan(1, xml=None).plan(2, plan_hash=5)
    with TdsServer(pretending(store).handler()) as server, session_to(server) as session:
        plans = StoredPlans(session, AnsweredPlans(), redact=True).read([key(1), key(2), key(3)], "shop")
    assert [(plan.plan_hash, plan.reason) for plan in plans] == [
        (1001, "no plan: the server keeps no plan of it"),
        (0, "no plan: it is no longer in Query Store"),
        (0, "no plan: it is no longer in Query Store"),
    ]


@pytest.mark.parametrize("body", ["<a/>", "no xml", "<ShowPlanXML", plan_xml(1).replace("showplan", "other")])
def test_what_cannot_be_masked_is_not_kept(body):
    plan = captured(KEY, body, "estimated", 150, redact=True)
    assert (plan.body, plan.plan_hash, plan.reason) == ("", KEY.plan_hash, "no plan: it cannot be read safely")


def test_encrypted_and_own_texts_are_left_out():
    store = Recorded().plan(1, text="").plan(2, text=MARKED).plan(3)
    store.rows["sys.query_store_query_text"][0]["query_sql_text"] = "SELECT secret"
    with TdsServer(pretending(store).handler()) as server, reader_to(server) as reader:
        texts = reader.read_texts([key(1), key(2), key(3)])
    assert [text.query_hash for text in texts] == [3]


def test_a_hidden_text_is_none():
    assert statement_text(1, None, redact=True) is None


def test_when_the_time_is_up_the_plans_so_far_are_answers():
    handler = pretending(busy()).handler()
    slow = []

    def sluggish(request):
        slow.append("query_plan AS plan_xml" in request.sql)
        if sum(slow) != 2 or not slow[-1]:
            return handler(request)
        time_left.leave(0.0)
        return Delay(30.0, handler(request))

    time_left = Hourglass()
    with TdsServer(sluggish) as server, session_to(server, time_left=time_left.budget) as session:
        plans = StoredPlans(session, AnsweredPlans(), redact=True, batch_bytes=1).read([key(1), key(3)], "shop")
    assert [plan.plan_hash for plan in plans] == [1001]


def test_when_the_time_is_up_before_the_first_plan_it_is_told():
    handler = pretending(busy()).handler()

    def sluggish(request):
        return Delay(5.0, handler(request)) if "plan_xml" in request.sql else handler(request)

    with TdsServer(sluggish) as server, session_to(server, seconds=1.0) as session, pytest.raises(QueryTimedOut):
        StoredPlans(session, AnsweredPlans(), redact=True).read([key(1)], "shop")


def test_lists_have_few_widths():
    assert [len(piece) for piece in value_lists(range(1), 100)] == [1]
    assert [len(piece) for piece in value_lists(range(7), 100)] == [10]
    assert [len(piece) for piece in value_lists(range(230), 100)] == [100, 100, 100]
    assert {value for piece in value_lists(range(230), 100) for value in piece} == set(range(230))
    assert list(value_lists([], 100)) == []


def test_hashes_travel_as_eight_bytes():
    assert hash_bytes(-2) == bytes.fromhex("fffffffffffffffe")
