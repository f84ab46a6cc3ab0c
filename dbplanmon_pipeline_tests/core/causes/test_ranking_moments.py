"""When a change happened, and what that says about it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.causes.candidates import CauseKind, candidates_of_facts
from dbplanmon_pipeline.core.causes.deployments import new_deployment
from dbplanmon_pipeline.core.causes.effects import PlanView
from dbplanmon_pipeline.core.causes.ranking import CAUSES_WITHIN, GRACE, KIND_WEIGHTS
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind
from dbplanmon_pipeline_tests.core.causes.suspicions import (
    FRESH,
    GONE,
    LEVEL,
    MEMORY,
    RESTARTED,
    UPDATED,
    differs,
    fact,
    kinds,
    plausibility,
    ranked,
    view,
)
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION


def test_the_later_a_change_before_the_beginning_the_more_plausible():
    found = [plausibility(replace(MEMORY, seen_at=NOW - timedelta(minutes=m))) for m in (0, 30, 120, 600, 1440)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5


@pytest.mark.parametrize(("after", "factor"), [(timedelta(0), 1.0), (GRACE, 1.0), (GRACE * 2, 0.3), (GRACE * 5, None)])
def test_what_is_seen_after_the_beginning_counts_only_as_far_as_it_may_lie_before(after, factor):
    late = replace(PLAN_REGRESSION, previous_plan_hash=0, opened_at=NOW + GRACE * 4)
    found = ranked(replace(LEVEL, seen_at=NOW + after), incident=late, seen=PlanView())
    expected = [] if factor is None else [round(KIND_WEIGHTS[CauseKind.COMPATIBILITY] * factor, 2)]
    assert [one.plausibility for one in found] == expected


def test_what_was_seen_once_the_incident_was_open_is_hardly_its_cause():
    soon = replace(MEMORY, seen_at=NOW + timedelta(minutes=1))
    opened = [replace(PLAN_REGRESSION, opened_at=NOW + timedelta(seconds=after)) for after in (30, 90)]
    after, before = (plausibility(soon, incident=one) for one in opened)
    assert after < before / 2


def test_what_changed_too_long_before_is_left_out():
    old = replace(MEMORY, seen_at=NOW - CAUSES_WITHIN - timedelta(seconds=1))
    assert kinds(ranked(old)) == [CauseKind.PLAN]


def test_the_moment_the_server_tells_counts_and_not_that_at_which_it_was_seen():
    (found,) = candidates_of_facts([FRESH])
    assert found.at == NOW - timedelta(minutes=14)
    assert candidates_of_facts([RESTARTED])[0].at == NOW - timedelta(minutes=15)
    ahead = replace(FRESH, after="2026-03-01T23:00:00Z by ANALYZE")
    assert candidates_of_facts([ahead])[0].at == ahead.seen_at, "a clock that is ahead tells no later moment"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("16.0.4095.4", "16.0.4125.3", "SQL Server was updated from 16.0.4095.4 to 16.0.4125.3"),
        ("16.0.4125.3", "15.0.4430.1", "SQL Server went back from 16.0.4125.3 to 15.0.4430.1"),
    ],
)
def test_another_version_came_with_the_restart(before, after, words):
    version, restart = candidates_of_facts([replace(UPDATED, before=before, after=after), RESTARTED])
    assert (version.what, version.at, version.covers_instance) == (words, restart.at, True)
    assert candidates_of_facts([UPDATED])[0].at == UPDATED.seen_at


def test_a_server_that_ran_before_took_over_when_it_was_seen():
    other = replace(RESTARTED, after="2026-02-11T08:00:00Z")
    version, failover = candidates_of_facts([UPDATED, other])
    assert (failover.kind, failover.at, failover.is_dated) == (CauseKind.FAILOVER, other.seen_at, False)
    assert failover.what.startswith("the server that answers has run since 2026-02-11 08:00:00 UTC")
    assert (version.at, version.is_dated) == (UPDATED.seen_at, False)


def test_a_crash_is_a_restart_and_the_end_of_its_trace_is_nothing():
    crashed = fact("crash recovery", "none since the start", "2026-03-01T11:50:00Z")
    (found,) = candidates_of_facts([crashed])
    assert (found.kind, found.at, found.covers_instance) == (CauseKind.RESTART, NOW - timedelta(minutes=15), True)
    assert candidates_of_facts([replace(crashed, before=crashed.after, after=crashed.before)]) == []


def test_a_deployment_right_before_is_named_and_one_elsewhere_is_not():
    def marked(minutes, **place):
        at = NOW - timedelta(minutes=minutes)
        return new_deployment("shop 2.4", deployed_at=at, now=NOW, actor="ci", **place)

    found = ranked(deployed=[marked(12, instance="prod"), marked(12, instance="test")], seen=view())
    assert kinds(found) == [CauseKind.DEPLOYMENT, CauseKind.PLAN]
    assert (found[0].word, "it came right before" in found[0].evidence) == ("plausible", True)
    assert ranked(deployed=[marked(300, instance="prod")])[1].plausibility < 0.2


@pytest.mark.parametrize(("minutes", "told"), [(30, "it came right before"), (-5, "it became slow with it"), (-6, "")])
def test_a_deployment_is_near_from_half_an_hour_before_until_the_end_of_the_first_slow_interval(minutes, told):
    at = NOW - timedelta(minutes=minutes)
    found = ranked(deployed=[new_deployment("shop 2.4", deployed_at=at, now=NOW + GRACE, actor="ci")], seen=view())
    (deployed,) = (one for one in found if one.candidate.kind is CauseKind.DEPLOYMENT)
    assert deployed.evidence[1:] == ((told,) if told else ())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replace(FRESH, after="2026-03-01T12:08:00Z by ANALYZE"), "3 min after the first bad interval began"),
        (MEMORY, "seen 7 min after the first bad interval began"),
        (replace(FRESH, after="2026-03-01T23:00:00Z by ANALYZE"), "seen 7 min after the first bad interval began"),
    ],
    ids=["told by the server", "seen by a reading", "a clock that is ahead"],
)
def test_a_moment_that_the_server_tells_is_not_told_as_seen(change, told):
    found = ranked(replace(change, seen_at=NOW + timedelta(minutes=7)))
    (cause,) = (one for one in found if one.candidate.kind is not CauseKind.PLAN)
    assert cause.evidence[0] == told


def test_what_only_two_plans_show_stands_without_a_moment_and_once():
    lost = differs(DifferenceKind.INDEX, "index ix_a on dbo.Orders is gone: x", "ix_a on dbo.Orders")
    (found, _) = ranked(around=[lost])
    assert (found.candidate.at, found.candidate.about, found.word) == (None, "ix_a", "likely")
    assert kinds(ranked(GONE, around=[lost])) == [CauseKind.INDEX, CauseKind.PLAN]
