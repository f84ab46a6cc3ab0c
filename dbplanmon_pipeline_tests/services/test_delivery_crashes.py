"""The processor is killed at random moments, against a real HTTP server and a real store."""

import json
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pytest

from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.notify import WebhookChannel
from dbplanmon_pipeline.services.process_alerts import DeliveryLimits, process_alerts
from dbplanmon_pipeline.store import open_store

KILLS = int(os.environ.get("DBPLANMON_TEST_KILLS", "12"))
"""Fifty take most of a minute on a busy machine."""

ALERTS = 10 * KILLS
CLEAN = multiprocessing.get_context("spawn")
LIMITS = DeliveryLimits(
    per_channel=ALERTS,
    budget=timedelta(minutes=1),
    lease=timedelta(seconds=0.4),
    longest_sending=timedelta(seconds=0.2),
)


def now():
    return datetime.now(UTC)


class Announcing(WebhookChannel):
    """Says when the first message is out, so that no processor is killed before it does anything."""

    started = None

    def send(self, alert):
        super().send(alert)
        os.write(self.started, b".")


def process_for_ever(store, hook, started):
    channel = Announcing("hook", lambda: hook, timeout_s=5.0)
    channel.started = started
    while True:
        process_alerts(store, [channel], now=now, limits=LIMITS)
        time.sleep(0.01)


def raise_and_kill(orders, store_url, hook):
    """A process of one thread that has everything imported: for each order it forks a processor and kills it."""
    import_module("anyio._backends._asyncio")
    store = open_store(store_url)
    store.due_channels(now())
    while (seconds := orders.recv()) is not None:
        heard, started = os.pipe()
        child = os.fork()
        if child == 0:
            process_for_ever(store, hook, started)
        os.close(started)
        assert os.read(heard, 1)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(heard)
        orders.send("killed")


@pytest.fixture
def hook():
    """Yields the address, and the alerts that arrived with the keys and bodies they arrived with."""
    arrived = defaultdict(list)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived[json.loads(body)["alert_id"]].append((self.headers["Idempotency-Key"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *arguments: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", arrived
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_alert_arrives_though_the_processor_is_killed_again_and_again(tmp_path, hook):
    url, arrived = hook
    store_url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(store_url)
    store.upgrade()
    began = now()
    alerts = [Alert(f"id-{n}", f"i-{n}", "opened", "hook", "high", began, f"s {n}", "b") for n in range(ALERTS)]
    store.add_alerts(alerts, decided_at=began)
    everything = [alert.incident_id for alert in alerts]
    orders, theirs = CLEAN.Pipe()
    nursery = CLEAN.Process(target=raise_and_kill, args=(theirs, store_url, url))
    nursery.start()
    dice = random.Random(7)
    for _ in range(KILLS):
        orders.send(dice.uniform(0.0, 0.05))
        assert orders.poll(60)
        orders.recv()
        recorded = {f"id-{incident[2:]}" for incident in store.told_incidents("hook", everything)}
        assert recorded <= set(arrived), "recorded as sent, but it never arrived"
    orders.send(None)
    nursery.join()
    assert arrived, "the processors were killed before they did anything"
    deadline = time.monotonic() + 30
    while store.due_channels(now()) and time.monotonic() < deadline:
        process_alerts(store, [WebhookChannel("hook", lambda: url)], now=now, limits=LIMITS)
        time.sleep(0.1)
    counts = store.alert_counts()
    store.close()
    assert counts == {("hook", "delivered"): ALERTS}
    assert set(arrived) == {alert.alert_id for alert in alerts}
    for alert_id, deliveries in arrived.items():
        assert {key for key, _ in deliveries} == {alert_id}
        assert len({body for _, body in deliveries}) == 1
    doubles = sum(len(deliveries) - 1 for deliveries in arrived.values())
    assert doubles <= KILLS, "a crash repeats the one alert that was being sent"
