"""Facts about the monitor itself, each at its very limit."""

from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.health import (
    NEGLIGIBLE_MS,
    Health,
    baseline_age,
    collector_cost,
    coverage,
    freshness,
    reachability,
)
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
OK, FAILED, SKIPPED = CollectionStatus.OK, CollectionStatus.FAILED, CollectionStatus.SKIPPED


def refs(count):
    return [DatabaseRef("prod", f"d{number}") for number in range(count)]


def outcome(number, status=OK, **facts):
    return CollectionOutcome(DatabaseRef("prod", f"d{number}"), NOON, status, **facts)


def fleet(silent, answering, status=FAILED, **facts):
    return [outcome(n, status, **facts) for n in range(silent)] + [outcome(silent + n) for n in range(answering)]


class TestReachability:
    def test_nobody_to_ask_is_healthy_and_says_so(self):
        found = reachability([])
        assert (found.health, found.summary) == (Health.HEALTHY, "no targets configured")

    def test_targets_that_answered_are_counted(self):
        assert reachability(fleet(0, 3)).summary == "all 3 targets answered"

    @pytest.mark.parametrize(
        ("silent", "answering", "health"), [(1, 2, Health.DEGRADED), (1, 1, Health.UNHEALTHY), (2, 0, Health.UNHEALTHY)]
    )
    def test_half_of_them_silent_is_unhealthy(self, silent, answering, health):
        assert reachability(fleet(silent, answering)).health is health

    def test_what_was_left_alone_is_silent_and_what_was_skipped_otherwise_is_not(self):
        left_alone = reachability(fleet(1, 2, SKIPPED, error_class="breaker", message="left alone"))
        assert left_alone.rows == (
            {"database": "prod/d0", "state": "skipped", "why": "breaker", "message": "left alone"},
        )
        assert reachability(fleet(1, 2, SKIPPED)).health is Health.HEALTHY

    def test_three_of_them_are_named(self):
        assert reachability(fleet(3, 9)).summary == "3 of 12 targets did not answer: prod/d0, prod/d1, prod/d2"
        assert reachability(fleet(4, 9)).summary.endswith("prod/d0, prod/d1, prod/d2 ...")


class TestFreshness:
    @pytest.mark.parametrize(
        ("age", "health"),
        [(3 * STEP, Health.HEALTHY), (3 * STEP + STEP / 100, Health.DEGRADED), (None, Health.DEGRADED)],
        ids=["at the limit", "beyond", "never"],
    )
    def test_three_intervals_are_tolerated(self, age, health):
        one, other = refs(2)
        found = freshness({one: NOON - age if age else None, other: NOON}, NOON, STEP)
        assert found.health is health
        assert [row["database"] for row in found.rows] == (["prod/d0"] if health is Health.DEGRADED else [])

    def test_all_of_them_stale_is_unhealthy_and_each_has_its_age(self):
        one, other = refs(2)
        found = freshness({one: NOON - timedelta(hours=1), other: None}, NOON, STEP)
        assert (found.health, found.summary) == (Health.UNHEALTHY, "2 of 2 databases not read within 15 min")
        assert [(row["last_read"], row["age_minutes"]) for row in found.rows] == [
            ("2026-11-20 11:00:00", 60.0),
            ("never", None),
        ]


def test_named_statements_hold_their_share_or_the_databases_are_named():
    one, other = refs(2)
    assert coverage(fleet(1, 1), {one: 0.8, other: 1.0}, 0.8).summary.startswith("1 database read;")
    found = coverage(fleet(0, 2), {one: 0.7999, other: 1.0}, 0.8)
    assert (found.health, found.rows) == (Health.DEGRADED, ({"database": "prod/d0", "named_share": 0.8},))
    assert found.summary == "1 databases hide over 20% of their time"


def test_a_target_may_spend_its_share_of_a_core_and_always_a_little():
    allowed = collector_cost([outcome(0, cost_ms=3000.0), outcome(1, cost_ms=None)], STEP, 0.01)
    assert (allowed.health, allowed.summary) == (
        Health.HEALTHY,
        "3000 ms over all targets; none above 3000 ms",
    )
    dear = collector_cost([outcome(0, cost_ms=3000.1), outcome(1, cost_ms=9000.0)], STEP, 0.01)
    assert dear.health is Health.DEGRADED
    assert [(row["database"], row["cost_ms"]) for row in dear.rows] == [("prod/d1", 9000.0), ("prod/d0", 3000.1)]
    short = timedelta(seconds=2)
    assert collector_cost([outcome(0, cost_ms=NEGLIGIBLE_MS)], short, 0.01).health is Health.HEALTHY
    assert collector_cost([outcome(0, cost_ms=NEGLIGIBLE_MS + 0.1)], short, 0.01).health is Health.DEGRADED


def test_a_baseline_ages():
    limit = timedelta(hours=30)
    assert baseline_age(None, 0, NOON, limit).health is Health.DEGRADED
    assert baseline_age(NOON - limit, 7, NOON, limit).summary.startswith("baselines of 7 statements, ")
    assert baseline_age(NOON - limit - STEP, 7, NOON, limit).health is Health.DEGRADED
