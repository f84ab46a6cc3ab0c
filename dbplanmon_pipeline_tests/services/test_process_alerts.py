from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.alerts import RetryLater
from dbplanmon_pipeline.core.ports import Alert, AlertStore, Channel
from dbplanmon_pipeline.errors import NotificationError, SettingsError
from dbplanmon_pipeline.services.process_alerts import AlertReport, DeliveryPolicy, process_alerts
from dbplanmon_pipeline.testing import FixedClock, MemoryAlertStore, RecordingChannel

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def alert(number=1, channel="dba", created_at=START):
    return Alert(f"id-{number}", f"incident-{number}", "opened", channel, "high", created_at, "subject", "body")


def queue(*alerts):
    store = MemoryAlertStore()
    store.add_alerts(alerts)
    return store


def busy(count=1):
    return [NotificationError("dba: busy") for _ in range(count)]


def test_the_doubles_satisfy_the_ports():
    store: AlertStore = queue()
    channel: Channel = RecordingChannel()
    assert store.pending_alerts(START, 5) == []
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
    assert waits == [30, 30, 60, 120, 240, 480, 600, 600, 600]
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
    assert store.deliveries[0].error == message
    assert store.deliveries[0].next_attempt_at is not None


def test_the_limit_bounds_the_attempts():
    store, channel = queue(*(alert(n) for n in range(10))), RecordingChannel("dba")
    assert process_alerts(store, [channel], now=FixedClock(START), limit=4) == AlertReport(sent=4)
    assert process_alerts(store, [channel], now=FixedClock(START), limit=4) == AlertReport(sent=4)


def test_a_cancelled_pass_stops_before_the_next_attempt():
    store, channel = queue(*(alert(n) for n in range(5))), RecordingChannel("dba")
    report = process_alerts(store, [channel], now=FixedClock(START), cancelled=lambda: channel.calls >= 2)
    assert report == AlertReport(sent=2, pending=3)


def test_the_policy_can_be_changed():
    policy = DeliveryPolicy(first_wait=timedelta(seconds=5), failures_in_a_row=1)
    store = queue(alert(1), alert(2))
    report = process_alerts(store, [RecordingChannel("dba", busy(9))], now=FixedClock(START), policy=policy)
    assert report == AlertReport(failed=1, pending=1)
    assert store.deliveries[0].next_attempt_at == START + timedelta(seconds=5)
