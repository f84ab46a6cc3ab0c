import threading
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from dbplanmon_pipeline.core.alerts.delivery_policy import AlertKind, ChannelPolicy, DeliveryHours, RetryPolicy
from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert, AlertStore, Channel, DeliveryStore
from dbplanmon_pipeline.errors import NotificationError, SettingsError
from dbplanmon_pipeline.services import process_alerts as deliver
from dbplanmon_pipeline.services.process_alerts import AlertReport, DeliveryLimits
from dbplanmon_pipeline.testing import FixedClock, MemoryAlertStore, RecordingChannel

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENT = BreakerPolicy(max_failures=1_000)


def process_alerts(store, channels, *, breaker=PATIENT, chance=lambda: 0.0, limit=100, **options):
    limits = DeliveryLimits(per_channel=limit)
    return deliver.process_alerts(store, channels, breaker=breaker, chance=chance, limits=limits, **options)


def alert(number=1, channel="dba", created_at=START, *, incident="", event="opened", severity="high"):
    subject = incident or f"incident-{number}"
    return Alert(f"id-{number}", subject, event, channel, severity, created_at, "subject", "body")


def queue(*alerts):
    store = MemoryAlertStore()
    store.add_alerts(alerts)
    return store


def busy(count=1):
    return [NotificationError("dba: busy") for _ in range(count)]


def test_the_doubles_satisfy_the_ports():
    store: AlertStore = queue()
    emptied: DeliveryStore = queue()
    channel: Channel = RecordingChannel()
    assert store.pending_alerts(START, 5) == []
    assert emptied.due_channels(START) == {}
    assert channel.name == "recording"


def test_due_alerts_are_sent_oldest_first_and_once():
    older = alert(2, created_at=START - timedelta(minutes=1))
    store, channel, clock = queue(alert(1), older), RecordingChannel("dba"), FixedClock(START)
    assert process_alerts(store, [channel], now=clock) == AlertReport(sent=2)
    assert [taken.alert_id for taken in channel.sent] == ["id-2", "id-1"]
    assert process_alerts(store, [channel], now=clock) == AlertReport()
    assert len(channel.sent) == 2


def test_the_same_alert_queued_twice_is_one():
    store = queue(alert(1))
    assert store.add_alerts([alert(1), alert(2)]) == 1


def test_every_attempt_is_recorded_before_the_next_one():
    store, recorded = queue(alert(1), alert(2)), []

    class Watching(RecordingChannel):
        def send(self, alert):
            recorded.append(len(store.deliveries))
            super().send(alert)

    process_alerts(store, [Watching("dba")], now=FixedClock(START))
    assert recorded == [0, 1]


def test_a_crash_between_sending_and_recording_sends_again_with_the_same_id():
    class Crashing(MemoryAlertStore):
        def record_deliveries(self, deliveries):
            raise KeyboardInterrupt

    store, channel = Crashing(), RecordingChannel("dba")
    store.add_alerts([alert(1)])
    with pytest.raises(KeyboardInterrupt):
        process_alerts(store, [channel], now=FixedClock(START))
    restarted = queue(*store.pending_alerts(START, 10))
    process_alerts(restarted, [channel], now=FixedClock(START))
    assert [taken.alert_id for taken in channel.sent] == ["id-1", "id-1"]


def test_waits_double_up_to_ten_minutes():
    store, channel, clock = queue(alert(1)), RecordingChannel("dba", busy(9)), FixedClock(START)
    waits = []
    for _ in range(9):
        process_alerts(store, [channel], now=clock)
        last = store.deliveries[-1]
        waits.append((last.next_attempt_at - last.attempted_at).total_seconds())
        clock.moment = last.next_attempt_at
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600, 600]
    assert process_alerts(store, [channel], now=clock) == AlertReport(sent=1)


def test_a_failed_alert_is_not_due_before_its_time():
    store, channel, clock = queue(alert(1)), RecordingChannel("dba", busy()), FixedClock(START)
    assert process_alerts(store, [channel], now=clock) == AlertReport(failed=1)
    clock.advance(timedelta(seconds=29))
    assert process_alerts(store, [channel], now=clock) == AlertReport()
    clock.advance(timedelta(seconds=1))
    assert process_alerts(store, [channel], now=clock) == AlertReport(sent=1)


def test_a_wait_the_channel_asks_for_is_kept():
    asked = RetryLater("dba: 429", retry_after_seconds=3_600)
    store, clock = queue(alert(1)), FixedClock(START)
    process_alerts(store, [RecordingChannel("dba", [asked])], now=clock)
    assert store.deliveries[-1].next_attempt_at == START + timedelta(hours=1)


def test_after_a_day_an_alert_is_given_up():
    store, clock = queue(alert(1)), FixedClock(START + timedelta(hours=24))
    assert process_alerts(store, [RecordingChannel("dba", busy())], now=clock) == AlertReport(dropped=1)
    assert store.deliveries[-1].next_attempt_at is None
    clock.advance(timedelta(days=1))
    assert store.pending_alerts(clock(), 10) == []


def test_an_old_alert_gets_one_attempt_all_the_same():
    store, channel = queue(alert(1)), RecordingChannel("dba")
    assert process_alerts(store, [channel], now=FixedClock(START + timedelta(days=3))) == AlertReport(sent=1)


def test_a_refused_alert_is_not_tried_again():
    refused = NotificationError("dba: 400", transient=False)
    store, clock = queue(alert(1)), FixedClock(START)
    assert process_alerts(store, [RecordingChannel("dba", [refused])], now=clock) == AlertReport(dropped=1)
    assert (store.deliveries[-1].error, store.deliveries[-1].next_attempt_at) == ("dba: 400", None)


def test_a_channel_that_is_gone_ends_the_alert_with_a_reason():
    store = queue(alert(1, channel="old"))
    assert process_alerts(store, [RecordingChannel("dba")], now=FixedClock(START)) == AlertReport(dropped=1)
    assert store.deliveries[-1].error == "channel 'old' is no longer configured"


def test_what_waited_a_day_for_a_channel_that_is_gone_and_rests_is_given_up():
    store, clock = queue(alert(1)), FixedClock(START)
    breaker = BreakerPolicy(1, timedelta(days=2), timedelta(days=2))
    process_alerts(store, [RecordingChannel("dba", busy())], now=clock, breaker=breaker)
    clock.advance(timedelta(hours=25))
    assert process_alerts(store, [], now=clock, breaker=breaker) == AlertReport(dropped=1)


def test_a_channel_that_fails_three_times_in_a_row_is_left_alone_for_this_pass():
    store = queue(*(alert(n) for n in range(10)))
    channel = RecordingChannel("dba", busy(100))
    assert process_alerts(store, [channel], now=FixedClock(START)) == AlertReport(failed=3, pending=7)
    assert channel.calls == 3
    assert len(store.deliveries) == 3


def test_a_success_in_between_keeps_a_channel_in_use():
    class Flaky(RecordingChannel):
        def send(self, alert):
            self.calls += 1
            if self.calls % 3:
                raise NotificationError("dba: busy")

    report = process_alerts(queue(*(alert(n) for n in range(9))), [Flaky("dba")], now=FixedClock(START))
    assert report == AlertReport(sent=3, failed=6)


def test_one_bad_channel_never_hides_the_alerts_of_another():
    old = [alert(n, channel="down", created_at=START - timedelta(hours=1)) for n in range(50)]
    store = queue(*old, alert(99, channel="dba"))
    good, down = RecordingChannel("dba"), RecordingChannel("down", busy(100))
    report = process_alerts(store, [down, good], now=FixedClock(START), limit=10)
    assert [taken.alert_id for taken in good.sent] == ["id-99"]
    assert report == AlertReport(sent=1, failed=3, pending=47)


@pytest.mark.parametrize(
    ("thrown", "message"),
    [
        (TypeError("password=hunter2"), "dba: unexpected TypeError"),
        (SettingsError("HOOK_URL is not set"), "dba: HOOK_URL is not set"),
    ],
)
def test_any_other_error_is_recorded_and_tried_again(thrown, message):
    store, other = queue(alert(1), alert(2, channel="ops")), RecordingChannel("ops")
    channels = [RecordingChannel("dba", [thrown]), other]
    assert process_alerts(store, channels, now=FixedClock(START)) == AlertReport(sent=1, failed=1)
    failed = next(delivery for delivery in store.deliveries if not delivery.succeeded)
    assert failed.error == message
    assert failed.next_attempt_at is not None


def test_the_limit_bounds_the_attempts():
    store, channel = queue(*(alert(n) for n in range(10))), RecordingChannel("dba")
    assert process_alerts(store, [channel], now=FixedClock(START), limit=4) == AlertReport(sent=4, pending=6)
    assert process_alerts(store, [channel], now=FixedClock(START), limit=4) == AlertReport(sent=4, pending=2)


def test_a_cancelled_pass_stops_before_the_next_attempt():
    store, channel = queue(*(alert(n) for n in range(5))), RecordingChannel("dba")
    report = process_alerts(store, [channel], now=FixedClock(START), cancelled=lambda: channel.calls >= 2)
    assert report == AlertReport(sent=2, pending=3)


def test_the_waits_of_a_channel_can_be_changed():
    policy = ChannelPolicy(retry=RetryPolicy(timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=2)))
    store, clock = queue(alert(1)), FixedClock(START)
    process_alerts(store, [RecordingChannel("dba", busy(9))], now=clock, policies={"dba": policy})
    assert store.deliveries[0].next_attempt_at == START + timedelta(seconds=5)
    clock.advance(timedelta(minutes=2))
    process_alerts(store, [RecordingChannel("dba", busy(9))], now=clock, policies={"dba": policy})
    assert store.deliveries[1].next_attempt_at is None


def test_chance_shortens_a_wait_by_a_quarter_at_most():
    store = queue(alert(1))
    process_alerts(store, [RecordingChannel("dba", busy())], now=FixedClock(START), chance=lambda: 1.0)
    assert store.deliveries[0].next_attempt_at == START + timedelta(seconds=22.5)


def test_an_end_never_overtakes_its_beginning_that_failed():
    began, ended = alert(1, incident="x"), alert(2, incident="x", event="auto_resolved")
    store, channel, clock = queue(began, ended, alert(3)), RecordingChannel("dba", busy()), FixedClock(START)
    process_alerts(store, [channel], now=clock)
    assert [taken.alert_id for taken in channel.sent] == ["id-3"]


def test_a_channel_that_fails_often_rests_until_its_pause_is_over():
    store, clock = queue(*(alert(n) for n in range(20))), FixedClock(START)
    channel, breaker = RecordingChannel("dba", busy(6)), BreakerPolicy(5, timedelta(minutes=2), timedelta(minutes=10))
    for _ in range(2):
        process_alerts(store, [channel], now=clock, breaker=breaker)
    assert channel.calls == 5
    clock.advance(timedelta(minutes=31))
    assert process_alerts(store, [channel], now=clock, breaker=breaker).failed == 1, "one probe"
    assert process_alerts(store, [channel], now=clock, breaker=breaker) == AlertReport(pending=19)
    clock.advance(timedelta(minutes=11))
    assert process_alerts(store, [channel], now=clock, breaker=breaker).sent == 20
    assert store.jobs["channel:dba"].consecutive_failures == 0


def test_a_channel_that_asks_for_a_rest_gets_it_for_all_its_alerts():
    store, clock = queue(alert(1), alert(2)), FixedClock(START)
    channel = RecordingChannel("dba", [RetryLater("dba: 429", retry_after_seconds=600)])
    breaker = BreakerPolicy()
    assert process_alerts(store, [channel], now=clock, breaker=breaker) == AlertReport(failed=1, pending=1)
    clock.advance(timedelta(seconds=599))
    assert process_alerts(store, [channel], now=clock, breaker=breaker) == AlertReport(pending=1)
    clock.advance(timedelta(seconds=1))
    assert process_alerts(store, [channel], now=clock, breaker=breaker) == AlertReport(sent=2)


def test_what_waits_a_day_for_a_dead_channel_is_given_up_with_the_reason():
    store, clock = queue(*(alert(n) for n in range(4))), FixedClock(START)
    channel, breaker = RecordingChannel("dba", busy(99)), BreakerPolicy(1, timedelta(days=2), timedelta(days=2))
    process_alerts(store, [channel], now=clock, breaker=breaker)
    clock.advance(timedelta(hours=25))
    assert process_alerts(store, [channel], now=clock, breaker=breaker).dropped == 4
    assert store.ended["id-3"] == "not tried, the channel did not work: dba: busy"


def test_a_channel_is_told_only_what_is_bad_enough_for_it():
    store, channel = queue(alert(1, severity="medium"), alert(2, severity="high")), RecordingChannel("dba")
    policy = ChannelPolicy(minimum_severity=Severity.HIGH)
    report = process_alerts(store, [channel], now=FixedClock(START), policies={"dba": policy})
    assert report == AlertReport(sent=1, suppressed=1)
    assert store.ended == {"id-1": "below the minimum severity of the channel"}


def test_an_end_goes_where_its_beginning_went_however_mild():
    store, channel, clock = queue(alert(1, incident="x")), RecordingChannel("dba"), FixedClock(START)
    policies = {"dba": ChannelPolicy(minimum_severity=Severity.HIGH)}
    process_alerts(store, [channel], now=clock, policies=policies)
    ends = [alert(n, incident=name, event="auto_resolved", severity="low") for n, name in ((2, "x"), (3, "y"))]
    store.add_alerts([*ends, alert(4, incident="x", event="reopened", severity="low")])
    process_alerts(store, [channel], now=clock, policies=policies)
    assert [taken.alert_id for taken in channel.sent] == ["id-1", "id-2"]


def test_the_first_success_of_a_channel_is_remembered_and_further_ones_write_nothing():
    store, clock = queue(alert(1)), FixedClock(START)
    for number in range(2, 4):
        process_alerts(store, [RecordingChannel("dba")], now=clock)
        clock.advance(timedelta(minutes=1))
        store.add_alerts([alert(number)])
    assert store.jobs["channel:dba"].last_success_at == START


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("0badcafe0123", AlertKind.INCIDENTS),
        ("kpi:orders", AlertKind.KPIS),
        ("job:collection", AlertKind.JOBS),
        ("summary:2026-11-22", AlertKind.SUMMARY),
        ("kpi", AlertKind.INCIDENTS),
    ],
)
def test_a_channel_gets_only_the_kinds_it_wants(subject, kind):
    for kinds, expected in ((frozenset({kind}), 1), (frozenset(AlertKind) - {kind}, 0)):
        store, channel = queue(alert(1, incident=subject)), RecordingChannel("dba")
        process_alerts(store, [channel], now=FixedClock(START), policies={"dba": ChannelPolicy(kinds=kinds)})
        assert len(channel.sent) == expected


def test_a_summary_has_no_severity_that_could_be_too_mild():
    store, channel = queue(alert(1, incident="summary:2026-11-22", severity="low")), RecordingChannel("dba")
    policies = {"dba": ChannelPolicy(minimum_severity=Severity.CRITICAL)}
    assert process_alerts(store, [channel], now=FixedClock(START), policies=policies).sent == 1


def hours(drops=False):
    return DeliveryHours(frozenset(range(5)), time(8), time(18), ZoneInfo("Europe/Berlin"), drops)


def test_outside_of_its_hours_a_channel_waits():
    store, channel, clock = queue(alert(1)), RecordingChannel("dba"), FixedClock(START)
    policies = {"dba": ChannelPolicy(hours=hours())}
    assert process_alerts(store, [channel], now=clock, policies=policies) == AlertReport(held=1)
    clock.moment = datetime(2026, 11, 23, 6, 59, 59, tzinfo=UTC)
    assert process_alerts(store, [channel], now=clock, policies=policies) == AlertReport()
    clock.advance(timedelta(seconds=1))
    assert process_alerts(store, [channel], now=clock, policies=policies) == AlertReport(sent=1)


def test_outside_of_its_hours_a_channel_may_drop():
    store, channel = queue(alert(1)), RecordingChannel("dba")
    report = process_alerts(
        store, [channel], now=FixedClock(START), policies={"dba": ChannelPolicy(hours=hours(drops=True))}
    )
    assert report == AlertReport(suppressed=1)
    assert store.ended == {"id-1": "outside of the hours of the channel"}


def test_a_slow_channel_does_not_hold_up_another():
    reached = threading.Event()

    class Waiting(RecordingChannel):
        def send(self, alert):
            assert reached.wait(5), "the other channel never got its turn"
            super().send(alert)

    class Telling(RecordingChannel):
        def send(self, alert):
            reached.set()
            super().send(alert)

    store = queue(alert(1, channel="a"), alert(2, channel="b"))
    report = process_alerts(store, [Waiting("a"), Telling("b")], now=FixedClock(START))
    assert report == AlertReport(sent=2)


def test_a_pass_begins_nothing_after_its_budget():
    clock = FixedClock(START)

    class Slow(RecordingChannel):
        def send(self, alert):
            clock.advance(timedelta(seconds=10))
            super().send(alert)

    report = process_alerts(queue(*(alert(n) for n in range(9))), [Slow("dba")], now=clock)
    assert report == AlertReport(sent=3, pending=6)


def test_nothing_is_sent_so_late_that_the_claim_might_end_meanwhile():
    clock = FixedClock(START)

    class Slow(RecordingChannel):
        def send(self, alert):
            clock.advance(timedelta(seconds=60))
            super().send(alert)

    limits = DeliveryLimits(
        budget=timedelta(minutes=10), lease=timedelta(minutes=3), longest_sending=timedelta(seconds=75)
    )
    store = queue(*(alert(n) for n in range(9)))
    report = deliver.process_alerts(store, [Slow("dba")], now=clock, breaker=PATIENT, limits=limits)
    assert report == AlertReport(sent=2, pending=7), "105 s after the claim none begins"
