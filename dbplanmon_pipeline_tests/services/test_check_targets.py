import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import PermissionMissing, SettingsError
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services import check_targets as module
from dbplanmon_pipeline.services.check_targets import check_targets
from dbplanmon_pipeline.services.collect import CollectionTarget
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline_tests.services.fleets import AlteredProvider, Wrapped


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
    provider = SimulatedProvider("fleet", 5, statements=7, source="plan_cache")
    found = check_targets(targets("fleet", *reversed(provider.databases())), {"fleet": provider})
    assert [item.ref.database for item in found] == list(reversed(provider.databases()))
    assert all(item.usable and item.statements == 7 and item.capabilities.missing == () for item in found)


class Trying(AlteredProvider):
    """Tells how its statements fared."""

    def __init__(self, *trials, unreadable=False, **options):
        def refuse(_previous=None):
            raise PermissionMissing("no right", target="t", remedy="GRANT it.")

        def alter(_database, reader):
            replaced = {"try_statements": lambda: trials}
            return Wrapped(reader, **replaced, **({"read_counters": refuse} if unreadable else {}))

        super().__init__("fleet", 1, alter=alter, **options)


RAN = StatementTrial("intervals", "which intervals there are", ok=True, rows=3, duration_ms=1.5)
FAILED = StatementTrial("waits", "waits of plans", ok=False, message="no right", remedy="GRANT it.")
NOT_RUN = StatementTrial("psp", "variants", ok=False, skipped_reason="needs SQL Server 2022")


@pytest.mark.parametrize(
    ("trials", "ok"), [((RAN, NOT_RUN), True), ((RAN, FAILED), False)], ids=["ran or not run", "failed"]
)
def test_deep_check_runs_each_statement_and_is_as_good_as_they_are(trials, ok):
    (found,) = check_targets(targets("fleet", "sim0001"), {"fleet": Trying(*trials)}, deep=True)
    assert (found.trials, found.ok, found.usable) == (trials, ok, True)


def test_statements_are_left_alone_unless_asked_for():
    (found,) = check_targets(targets("fleet", "sim0001"), {"fleet": Trying(FAILED)})
    assert (found.trials, found.ok) == ((), True)


def test_deep_check_of_a_target_that_cannot_be_read_still_tells_how_statements_fared():
    (found,) = check_targets(targets("fleet", "sim0001"), {"fleet": Trying(RAN, unreadable=True)}, deep=True)
    assert (found.usable, found.error_class, found.trials) == (False, "permission", (RAN,))


def test_bad_target_says_why_and_does_not_stop_the_others():
    provider = SimulatedProvider("fleet", 3, failing=1)
    found = check_targets(targets("fleet", *provider.databases()), {"fleet": provider})
    (bad,) = [item for item in found if not item.usable]
    assert bad.ref.database in provider.failing_databases
    assert (bad.error_class, bad.capabilities, bad.statements) == ("unreachable", None, 0)
    assert bad.remedy


def test_secret_that_is_not_there_stops_no_other_target():
    class WithoutSecret(SimulatedProvider):
        def open(self, database, budget):
            raise SettingsError("env:PASSWORD: the environment variable PASSWORD is not set; export it")

    providers = {"fleet": SimulatedProvider("fleet", 1), "bad": WithoutSecret("bad", 1)}
    bad, good = check_targets([*targets("bad", "sim0001"), *targets("fleet", "sim0001")], providers)
    assert (good.usable, bad.usable, bad.error_class) == (True, False, "settings")
    assert bad.message == "env:PASSWORD: the environment variable PASSWORD is not set; export it"


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
