"""Contract: the queue of alerts as processors see it, on both engines."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from dbplanmon_pipeline.core.ports import Alert, DeadLetterStore, Delivery, DeliveryStore
from dbplanmon_pipeline.core.ports.alerts import ChannelFailures
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import NOON

LEASE = timedelta(minutes=3)
LATER = NOON + timedelta(hours=1)


def alert(number, channel="dba", *, incident="", at=NOON):
    return Alert(f"a{number:03}", incident or f"i{number}", "opened", channel, "high", at, "s", "b")


def queue(store, *alerts):
    store.add_alerts(alerts, decided_at=NOON)


def claim(store, claimant="p1", *, channel="dba", now=LATER, limit=10):
    claimed = store.claim_alerts(channel, now=now, until=now + LEASE, claimant=claimant, limit=limit)
    return [queued.alert.alert_id for queued in claimed]


def test_the_store_satisfies_the_ports(store: SqlStore):
    queue_: DeliveryStore = store
    letters: DeadLetterStore = store
    assert (queue_.due_channels(NOON), letters.dead_alerts()) == ({}, [])


def test_a_claimed_alert_is_nobody_elses_until_the_claim_ends(store: SqlStore):
    queue(store, alert(1), alert(2), alert(3, channel="ops"))
    assert claim(store, "p1", limit=1) == ["a001"]
    assert claim(store, "p2") == ["a002"]
    assert claim(store, "p2") == []
    assert claim(store, "p2", now=LATER + LEASE) == ["a001", "a002"]


def test_the_oldest_are_claimed_first(store: SqlStore):
    queue(store, alert(1, at=NOON + timedelta(minutes=1)), alert(3), alert(2))
    assert claim(store, limit=2) == ["a002", "a003"]


def test_a_claim_can_be_given_back(store: SqlStore):
    queue(store, alert(1), alert(2))
    claim(store, "p1", limit=1)
    claim(store, "p2", limit=1)
    store.release_claims("p1")
    assert claim(store, "p3") == ["a001"]


def test_processors_at_once_share_the_queue_without_a_double(store: SqlStore):
    queue(store, *(alert(number) for number in range(60)))

    def empty(name):
        found = []
        while some := claim(store, name, limit=3):
            found += some
        return found

    with ThreadPoolExecutor(4) as pool:
        taken = [alert_id for found in pool.map(empty, "abcd") for alert_id in found]
    assert sorted(taken) == [f"a{number:03}" for number in range(60)]


def test_a_younger_one_of_an_incident_waits_for_the_older(store: SqlStore):
    queue(store, alert(1, incident="x"), alert(2, incident="x", at=NOON + timedelta(minutes=1)), alert(3))
    again = LATER + timedelta(minutes=5)
    assert claim(store, "p1", limit=1) == ["a001"]
    assert claim(store, "p2") == ["a003"], "the older one is being sent"
    store.record_deliveries([Delivery("a003", LATER, succeeded=True)])
    store.record_deliveries([Delivery("a001", LATER, succeeded=False, error="503", next_attempt_at=again)])
    assert claim(store, "p2") == [], "the older one waits for its next attempt"
    assert claim(store, "p2", now=again) == ["a001", "a002"]


def test_of_two_of_one_moment_the_second_waits_for_the_first(store: SqlStore):
    queue(store, alert(1, incident="x"), alert(2, incident="x"), alert(3, "ops", incident="x"))
    assert claim(store, "p1", limit=1) == ["a001"]
    assert claim(store, "p2") == []
    assert claim(store, "p2", channel="ops") == ["a003"]


def test_an_attempt_that_is_told_twice_counts_once(store: SqlStore):
    queue(store, alert(1))
    for _ in range(2):
        store.record_deliveries([Delivery("a001", LATER, succeeded=False, error="503", next_attempt_at=LATER)])
    (queued,) = store.claim_alerts("dba", now=LATER, until=LATER + LEASE, claimant="p1", limit=1)
    assert queued.attempts == 1


def test_what_has_ended_stays_ended(store: SqlStore):
    queue(store, alert(1), alert(2))
    store.record_deliveries([Delivery("a001", LATER, succeeded=True)])
    store.record_deliveries([Delivery("a001", LATER + LEASE, succeeded=False, next_attempt_at=LATER + LEASE)])
    store.suppress_alerts({"a001": "too mild"}, LATER)
    store.postpone_alerts(["a001"], LATER)
    assert store.due_channels(LATER + LEASE) == {"dba": 1}
    assert store.alert_counts() == {("dba", "delivered"): 1, ("dba", "pending"): 1}


def test_an_attempt_and_a_postponement_end_the_claim(store: SqlStore):
    queue(store, alert(1), alert(2))
    assert claim(store, "p1") == ["a001", "a002"]
    store.record_deliveries([Delivery("a001", LATER, succeeded=False, error="503", next_attempt_at=LATER)])
    store.postpone_alerts(["a002"], LATER)
    assert claim(store, "p2") == ["a001", "a002"]


def test_attempts_count_up_and_a_success_ends_the_alert(store: SqlStore):
    queue(store, alert(1))
    store.record_deliveries([Delivery("a001", LATER, succeeded=False, error="503", next_attempt_at=LATER)])
    (queued,) = store.claim_alerts("dba", now=LATER, until=LATER + LEASE, claimant="p1", limit=1)
    assert (queued.attempts, queued.alert) == (1, alert(1))
    store.record_deliveries([Delivery("a001", LATER + LEASE, succeeded=True)])
    assert store.due_channels(LATER + LEASE) == {}
    assert store.alert_counts() == {("dba", "delivered"): 1}
    queue(store, alert(2))
    assert store.told_incidents("dba", ["i1", "i2"]) == {"i1"}
    assert store.told_incidents("ops", ["i1"]) == frozenset()


def test_a_postponed_alert_waits_and_its_time_begins_then(store: SqlStore):
    queue(store, alert(1))
    claim(store)
    store.postpone_alerts(["a001"], LATER + LEASE)
    assert store.due_channels(LATER) == {}
    (queued,) = store.claim_alerts("dba", now=LATER + LEASE, until=LATER + 2 * LEASE, claimant="p1", limit=1)
    assert (queued.attempts, queued.queued_at) == (0, LATER + LEASE)


def test_what_is_suppressed_or_given_up_ends_with_its_reason(store: SqlStore):
    queue(store, alert(1), alert(2), alert(3, channel="ops"))
    store.suppress_alerts({"a001": "too mild"}, LATER)
    assert store.give_up_alerts("dba", LATER, "it did not work", LATER) == 1
    assert store.due_channels(LATER) == {"ops": 1}
    assert [(dead.alert.alert_id, dead.reason) for dead in store.dead_alerts()] == [("a002", "it did not work")]


def test_only_what_waits_too_long_is_given_up_and_nothing_that_is_being_sent(store: SqlStore):
    queue(store, alert(1), alert(2))
    store.add_alerts([alert(3)])
    assert store.give_up_alerts("dba", NOON, "too old", LATER) == 0
    assert claim(store, "p1", limit=1) == ["a001"]
    assert store.give_up_alerts("dba", LATER, "too old", LATER) == 1
    assert [dead.alert.alert_id for dead in store.dead_alerts()] == ["a002"]
    assert store.give_up_alerts("dba", LATER, "too old", LATER + LEASE) == 1
    assert store.alert_counts() == {("dba", "given_up"): 2, ("dba", "pending"): 1}, "nothing was decided about a003"


def test_the_dead_can_be_replayed_by_channel_and_time(store: SqlStore):
    queue(store, *(alert(number, channel) for number, channel in enumerate(("dba", "dba", "ops"))))
    for number in range(3):
        at = LATER + timedelta(minutes=number)
        store.record_deliveries([Delivery(f"a{number:03}", at, succeeded=False, error="410")])
    assert [dead.alert.alert_id for dead in store.dead_alerts(channel="dba")] == ["a001", "a000"]
    since = LATER + timedelta(minutes=1)
    assert store.replay_alerts(LATER + LEASE, channel="dba", since=since) == 1
    (queued,) = store.claim_alerts("dba", now=LATER + LEASE, until=LATER + 2 * LEASE, claimant="p1", limit=9)
    assert (queued.alert.alert_id, queued.attempts, queued.queued_at) == ("a001", 0, LATER + LEASE)
    assert store.replay_alerts(LATER + LEASE) == 2


def test_failures_of_a_channel_begin_anew_with_each_message_it_takes(store: SqlStore):
    queue(store, alert(1), alert(2), alert(3, "ops"), alert(4, "old"))
    minute = timedelta(minutes=1)
    store.record_deliveries([Delivery("a004", NOON - 9 * minute, False, "410")])
    for number, succeeded in enumerate((False, True, False, False)):
        store.record_deliveries(
            [Delivery("a001", NOON + number * minute, succeeded, "" if succeeded else f"5{number}")]
        )
    store.record_deliveries([Delivery("a002", NOON + 4 * minute, False, "503")])
    store.record_deliveries([Delivery("a003", NOON, False, "busy"), Delivery("a003", NOON + minute, True)])
    assert store.channel_failures(NOON) == {
        "dba": ChannelFailures("dba", NOON + 2 * minute, 3, "503"),
        "ops": None,
    }
