import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services import check_targets as module
from dbplanmon_pipeline.services.check_targets import check_targets
from dbplanmon_pipeline.services.collect import CollectionTarget
from dbplanmon_pipeline.services.read_database import CaptureLimits


def targets(instance, *databases, budget_seconds=10.0):
    return [
        CollectionTarget(DatabaseRef(instance, name), Engine.SIMULATED, CaptureLimits(), budget_seconds)
        for name in databases
    ]


class Hanging(SimulatedProvider):
    """Keeps no budget; ends its waits only when it is cancelled."""

    def __init__(self, instance):
        super().__init__(instance, 2)
        self._ended = threading.Event()

    @contextmanager
    def open(self, database, budget):
        self._ended.wait()
        with super().open(database, budget) as reader:
            yield reader

    def cancel(self):
        self._ended.set()


def test_answers_come_in_the_order_of_the_targets_with_what_was_found():
    provider = SimulatedProvider("fleet", 5, statements=7)
    found = check_targets(targets("fleet", *reversed(provider.databases())), {"fleet": provider})
    assert [item.ref.database for item in found] == list(reversed(provider.databases()))
    assert all(item.usable and item.statements == 7 and item.capabilities.missing == () for item in found)


def test_bad_target_says_why_and_does_not_stop_the_others():
    provider = SimulatedProvider("fleet", 3, failing=1)
    found = check_targets(targets("fleet", *provider.databases()), {"fleet": provider})
    (bad,) = [item for item in found if not item.usable]
    assert bad.ref.database in provider.failing_databases
    assert (bad.error_class, bad.capabilities, bad.statements) == ("unreachable", None, 0)
    assert bad.remedy


def test_slow_target_ends_with_its_budget():
    provider = SimulatedProvider("slow", 1, latency_ms=30_000)
    began = time.monotonic()
    (found,) = check_targets(targets("slow", "sim0001", budget_seconds=0.2), {"slow": provider})
    assert found.error_class == "timeout"
    assert time.monotonic() - began < 10


def test_target_that_keeps_no_budget_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    providers = {"hangs": Hanging("hangs"), "works": SimulatedProvider("works", 1)}
    wanted = [*targets("hangs", "sim0001", "sim0002", budget_seconds=0.1), *targets("works", "sim0001")]
    found = check_targets(wanted, providers, max_workers=3)
    assert [item.usable for item in found] == [False, False, True]
    assert [item.error_class for item in found] == ["timeout", "timeout", ""]


def test_targets_behind_hanging_ones_are_reported_as_not_asked(monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    found = check_targets(
        targets("hangs", "sim0001", "sim0002", budget_seconds=0.1), {"hangs": Hanging("hangs")}, max_workers=1
    )
    assert ["not asked" in item.message for item in found] == [False, True]


def test_instance_that_could_not_be_listed_cannot_be_used():
    ref = DatabaseRef("fleet", "*")
    outcome = CollectionOutcome(
        ref, datetime(2026, 1, 1, tzinfo=UTC), CollectionStatus.FAILED, error_class="login", message="rejected"
    )
    (found,) = check_targets([], {"fleet": SimulatedProvider("fleet", 1)}, unlisted=[outcome])
    assert (found.ref, found.usable, found.error_class, found.message) == (ref, False, "login", "rejected")


def test_defect_of_a_provider_is_not_hidden():
    class Broken(SimulatedProvider):
        def open(self, database, budget):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_targets(targets("broken", "sim0001"), {"broken": Broken("broken", 1)})
