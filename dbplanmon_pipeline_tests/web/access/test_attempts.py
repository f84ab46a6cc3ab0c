from datetime import timedelta

import pytest

from dbplanmon_pipeline.web.access.attempts import WINDOW, Attempts
from dbplanmon_pipeline_tests.services.fleets import START

SECOND = timedelta(seconds=1)


def tried(attempts: Attempts, address: str, times: int) -> Attempts:
    for _ in range(times):
        attempts.count(address, START)
    return attempts


def test_an_address_waits_for_the_rest_of_its_window():
    attempts = tried(Attempts(per_address=2), "10.0.0.1", 2)
    assert attempts.wait("10.0.0.1", START + 10 * SECOND) == WINDOW.total_seconds() - 10
    assert attempts.wait("10.0.0.1", START + WINDOW) == 0
    assert attempts.wait("10.0.0.2", START) == 0


def test_many_addresses_together_are_limited_too():
    attempts = Attempts(per_address=2, over_all=5)
    for last in range(5):
        attempts.count(f"10.0.0.{last}", START)
    assert attempts.wait("10.9.9.9", START) > 0


def test_a_right_token_does_not_count():
    attempts = tried(Attempts(per_address=2), "10.0.0.1", 2)
    attempts.forgive("10.0.0.1", START)
    assert attempts.wait("10.0.0.1", START) == 0


@pytest.mark.parametrize(
    ("one", "other"), [("2001:db8::1", "2001:db8::ffff"), ("not an address", "\x00"), ("10.0.0.1", "10.0.0.1")]
)
def test_addresses_of_one_customer_count_together(one, other):
    assert tried(Attempts(per_address=1), one, 1).wait(other, START) > 0


def test_memory_stays_bounded():
    attempts = Attempts(addresses=50)
    for number in range(1_000):
        attempts.count(f"10.0.{number // 250}.{number % 250}", START)
    assert len(attempts) == 50


def test_what_was_tried_longest_ago_is_forgotten_first_and_the_count_of_all_never():
    attempts = Attempts(per_address=2, over_all=5, addresses=3)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"):
        attempts.count(address, START)
    assert attempts.wait("10.0.0.1", START) > 0
    assert attempts.wait("10.0.0.2", START) == 0
    attempts.count("10.0.0.3", START)
    assert attempts.wait("10.0.0.9", START) > 0, "five over all"


def test_a_clock_that_goes_back_locks_nobody_out():
    attempts = tried(Attempts(per_address=1), "10.0.0.1", 1)
    assert attempts.wait("10.0.0.1", START - timedelta(days=1)) == 0
