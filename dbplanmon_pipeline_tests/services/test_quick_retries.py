"""Which failures are tried again at once, how often, and what stops it."""

import pytest

from dbplanmon_pipeline.errors import CannotConnect, LoginFailed, PermissionMissing, QueryTimedOut
from dbplanmon_pipeline.services.quick_retries import LEAST_SECONDS, PAUSES_SECONDS, QuickRetries

ATTEMPTS = 1 + len(PAUSES_SECONDS)


class Server:
    """Fails so often with an error, then answers; counts how often it was asked."""

    def __init__(self, error, fails=99):
        self.error = error
        self.fails = fails
        self.asked = 0

    def __call__(self):
        self.asked += 1
        if self.asked <= self.fails:
            raise self.error
        return "an answer"


@pytest.fixture
def waits():
    return []


@pytest.fixture
def retries(waits):
    return QuickRetries(dice=lambda: 0.5, sleep=waits.append)


def soon(error):
    error.passes_soon = True
    return error


def always():
    return 60.0


@pytest.mark.parametrize("fails", [1, 2])
def test_what_passes_soon_is_asked_again(retries, waits, fails):
    server = Server(soon(CannotConnect("cut")), fails)
    answer, before = retries.attempt("one", server, always)
    assert (answer, before) == ("an answer", server.error)
    assert sum(waits) == pytest.approx(sum(PAUSES_SECONDS[:fails]))


def test_a_first_attempt_that_goes_well_waits_for_nothing(retries, waits):
    assert retries.attempt("one", lambda: 7, always) == (7, None)
    assert waits == []


@pytest.mark.parametrize(
    "error", [LoginFailed("no"), PermissionMissing("no"), CannotConnect("nothing listens"), QueryTimedOut("budget")]
)
def test_what_does_not_pass_is_asked_once(retries, waits, error):
    server = Server(error)
    with pytest.raises(type(error)):
        retries.attempt("one", server, always)
    assert (server.asked, waits) == (1, [])


def test_waits_differ_by_up_to_half(waits):
    for dice in (0.0, 1.0):
        QuickRetries(dice=lambda dice=dice: dice, sleep=waits.append).attempt(
            "one", Server(soon(CannotConnect("cut")), 1), always
        )
    assert sum(waits) == pytest.approx(PAUSES_SECONDS[0] * 0.5 + PAUSES_SECONDS[0] * 1.5)


def test_an_instance_that_failed_all_attempts_is_asked_once_from_then_on(retries):
    first, second, other = (Server(soon(CannotConnect("dead"))) for _ in range(3))
    for instance, server in (("one", first), ("one", second), ("two", other)):
        with pytest.raises(CannotConnect):
            retries.attempt(instance, server, always)
    assert [first.asked, second.asked, other.asked] == [ATTEMPTS, 1, ATTEMPTS]


def test_no_attempt_begins_with_too_little_time(retries, waits):
    server = Server(soon(QueryTimedOut("deadlock")))
    with pytest.raises(QueryTimedOut):
        retries.attempt("one", server, lambda: LEAST_SECONDS + PAUSES_SECONDS[0] / 2)
    assert (server.asked, waits) == (1, [])


def test_a_run_that_is_stopped_waits_no_longer(waits):
    stopped = iter([False, False, True])
    server = Server(soon(CannotConnect("cut")))
    with pytest.raises(CannotConnect):
        QuickRetries(dice=lambda: 0.5, sleep=waits.append).attempt(
            "one", server, lambda: 0.0 if next(stopped) else always()
        )
    assert (server.asked, len(waits)) == (1, 2)
