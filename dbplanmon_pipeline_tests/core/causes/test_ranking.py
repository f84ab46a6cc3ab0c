"""Scenarios: what is known to have changed, and what a DBA would suspect first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.causes.candidates import (
    CauseKind,
    candidate_of_plan,
    candidates_around,
    candidates_of_deployments,
    candidates_of_facts,
)
from dbplanmon_pipeline.core.causes.deployments import new_deployment
from dbplanmon_pipeline.core.causes.distribution import ColumnStatistics, distribution_value
from dbplanmon_pipeline.core.causes.effects import PlanView
from dbplanmon_pipeline.core.causes.ranking import (
    CAUSES_WITHIN,
    GRACE,
    KIND_WEIGHTS,
    MOST_CAUSES,
    TELLING,
    rank_causes,
    telling_cause,
    word_of,
)
from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.model import DatabaseRef, Label, hash_text
from dbplanmon_pipeline.core.plans.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION

SHOP = DatabaseRef("prod", "Shop")
ORDERS = "dbo.Orders"
OLD, NEW = hash_text(PLAN_REGRESSION.previous_plan_hash), hash_text(PLAN_REGRESSION.plan_hash)
QUERY = hash_text(PLAN_REGRESSION.query_hash)
SAME_PLAN = replace(PLAN_REGRESSION, plan_hash=0xCD, label=Label.DATA_GROWTH)
INSTANCE = replace(
    PLAN_REGRESSION,
    scope=IncidentScope.INSTANCE,
    database="",
    query_hash=0,
    plan_hash=0,
    previous_plan_hash=0,
    label=Label.INSTANCE_SLOWDOWN,
)


def fact(name, before, after, minutes=10, ref=SHOP):
    return FactChange(ref, name, NOW - timedelta(minutes=minutes), before, after)


def differs(kind, text="Orders: Index Seek became Table Scan", node="Orders"):
    return PlanDifference(kind, node, "", "", text)


def view(*changes, before=("ix_a",), now=("pk",), rules=(), compared=()):
    return PlanView(
        frozenset({ORDERS}),
        frozenset(before),
        frozenset(now),
        changes,
        is_changed=True,
        is_known=True,
        new_rules=frozenset(rules),
        conditions=frozenset(compared),
    )


STAYED = PlanView(frozenset({ORDERS}), frozenset({"ix_a"}), frozenset({"ix_a"}), is_same=True, is_known=True)
COMPARING = replace(STAYED, conditions=frozenset({"(orders.customer_id = $1)"}))
ACCESS = differs(DifferenceKind.ACCESS_PATH)


def ranked(*facts, seen=None, incident=PLAN_REGRESSION, deployed=(), around=()):
    dated = candidates_of_facts(facts)
    plan = candidate_of_plan(incident)
    found = [*dated, *candidates_around(around, dated, ()), *candidates_of_deployments(deployed, incident)]
    return rank_causes(incident, [*found, *([plan] if plan else [])], view(ACCESS) if seen is None else seen)


def kinds(found):
    return [one.candidate.kind for one in found]


def plausibility(*facts, **given):
    kind = candidates_of_facts(facts)[0].kind
    return next(one.plausibility for one in ranked(*facts, **given) if one.candidate.kind is kind)


GONE = fact(f"indexes of {ORDERS}", '{"ix_a":"CREATE INDEX ix_a","pk":"x"}', '{"pk":"x"}')
FRESH = fact(f"statistics time of {ORDERS}", "2026-02-28T12:00:00Z by ANALYZE", "2026-03-01T11:51:00Z by ANALYZE")
MEMORY = fact("setting work_mem", "64MB", "1MB")
PARALLEL = fact("setting max degree of parallelism", "8", "1")
LEVEL = fact("compatibility level", "150", "160")
GROWN = fact(f"rows of {ORDERS}", "1000000", "9000000")
RESTARTED = fact("server started", "2026-01-01T00:00:00Z", "2026-03-01T11:50:00Z")
COLUMN = fact(f"columns of {ORDERS}", '{"a":"int"}', '{"a":"int","b":"text"}')
UPDATED = fact("SQL Server version", "16.0.4095.4", "16.0.4125.3")
TYPE = fact(f"columns of {ORDERS}", '{"a":"int"}', '{"a":"nvarchar"}')
UNIFORM, ALIKE = ColumnStatistics(12_000.0, 0.012, 0.0, 0.0001), ColumnStatistics(3.0, 3e-06, 0.0, 0.98)
SKEWED = fact(
    f"distribution of {ORDERS}",
    distribution_value("2026-02-28T12:00:00Z by ANALYZE", {"customer_id": UNIFORM, "region": UNIFORM}),
    distribution_value("2026-03-01T11:51:00Z by ANALYZE", {"customer_id": ALIKE, "region": UNIFORM}),
)
SKEW = CauseKind.DISTRIBUTION
UNFORCED = fact(f"forced plan {QUERY} {OLD}", "forced", "")


@pytest.mark.parametrize(
    ("facts", "seen", "incident", "first"),
    [
        ([GONE, FRESH, MEMORY, RESTARTED], view(ACCESS), PLAN_REGRESSION, CauseKind.INDEX),
        ([FRESH, COLUMN, RESTARTED], view(ACCESS), PLAN_REGRESSION, CauseKind.STATISTICS),
        (
            [MEMORY, FRESH, RESTARTED],
            view(differs(DifferenceKind.SORT), rules=["sort-on-disk"]),
            PLAN_REGRESSION,
            CauseKind.SETTING,
        ),
        (
            [PARALLEL, FRESH, GROWN],
            view(differs(DifferenceKind.PARALLELISM, node="")),
            PLAN_REGRESSION,
            CauseKind.SETTING,
        ),
        ([LEVEL, COLUMN, RESTARTED], view(ACCESS), PLAN_REGRESSION, CauseKind.COMPATIBILITY),
        ([UNFORCED, GONE, LEVEL], view(ACCESS, before=()), PLAN_REGRESSION, CauseKind.FORCING),
        ([GROWN, FRESH, MEMORY], STAYED, SAME_PLAN, CauseKind.VOLUME),
        ([TYPE, MEMORY], view(ACCESS), PLAN_REGRESSION, CauseKind.TABLE),
        ([RESTARTED, LEVEL, MEMORY], PlanView(), INSTANCE, CauseKind.RESTART),
        ([RESTARTED, UPDATED], PlanView(), INSTANCE, CauseKind.VERSION),
        ([RESTARTED, FRESH, UPDATED, GROWN], view(), PLAN_REGRESSION, CauseKind.VERSION),
        ([FRESH, SKEWED, GROWN, MEMORY], view(ACCESS, compared=["(customer_id = $1)"]), PLAN_REGRESSION, SKEW),
        ([FRESH, SKEWED, MEMORY], COMPARING, SAME_PLAN, SKEW),
        ([], view(ACCESS), PLAN_REGRESSION, CauseKind.PLAN),
    ],
    ids=[
        "index gone",
        "statistics",
        "memory and spill",
        "parallelism",
        "compatibility level",
        "plan no longer forced",
        "growth",
        "type of a column",
        "restart of an instance",
        "update of an instance",
        "update and another plan",
        "other data and another plan",
        "other data and the same plan",
        "nothing but the plan",
    ],
)
def test_what_a_dba_would_suspect_first_comes_first(facts, seen, incident, first):
    assert kinds(ranked(*facts, seen=seen, incident=incident))[0] is first


def test_an_index_that_the_former_plan_used_is_likely_and_says_so():
    found = ranked(GONE)[0]
    assert (found.word, found.candidate.what) == ("likely", "index ix_a of dbo.Orders is gone")
    assert found.evidence == (
        "10 min before the first bad interval began",
        "the plan reads dbo.Orders",
        "the former plan went through it",
    )
    assert found.line.startswith("likely: index ix_a of dbo.Orders is gone (10 min before the first")


@pytest.mark.parametrize("seen", [view(ACCESS, before=()), STAYED], ids=["not used before", "the same plan"])
def test_an_index_counts_little_where_the_plans_do_not_show_it(seen):
    assert plausibility(GONE, seen=seen) < 0.2


def test_a_new_index_counts_where_the_present_plan_goes_through_it():
    new = fact(f"indexes of {ORDERS}", "{}", '{"ix_new":"CREATE INDEX ix_new"}')
    assert plausibility(new, seen=view(ACCESS, now=["ix_new"])) > 0.8 > plausibility(new, seen=view(ACCESS))


def test_a_disabled_index_is_as_good_as_gone():
    off = fact(f"indexes of {ORDERS}", '{"ix_a":"CREATE"}', '{"ix_a":"-- disabled: CREATE"}')
    assert plausibility(off) == plausibility(GONE)


@pytest.mark.parametrize(
    ("setting", "after", "difference"),
    [
        ("enable_indexscan", "off", DifferenceKind.ACCESS_PATH),
        ("enable_hashjoin", "off", DifferenceKind.JOIN_TYPE),
        ("enable_hashagg", "off", DifferenceKind.AGGREGATION),
        ("enable_sort", "off", DifferenceKind.SORT),
        ("enable_nestloop of role app", "off", DifferenceKind.JOIN_TYPE),
        ("random_page_cost", "9", DifferenceKind.ACCESS_PATH),
        ("MAXDOP", "1", DifferenceKind.PARALLELISM),
        ("max_parallel_workers_per_gather", "0", DifferenceKind.PARALLELISM),
        ("work_mem", "64kB", DifferenceKind.SORT),
        ("LEGACY_CARDINALITY_ESTIMATION", "1", DifferenceKind.OPERATOR),
    ],
)
def test_a_setting_counts_more_where_the_plans_differ_in_what_it_decides(setting, after, difference):
    change = fact(f"setting {setting}", "on", after)
    shown = plausibility(change, seen=view(differs(difference)))
    assert shown > plausibility(change, seen=STAYED)
    assert shown >= TELLING


def test_a_setting_that_decides_something_else_gains_nothing_from_a_difference():
    change = fact("setting enable_hashjoin", "on", "off")
    assert plausibility(change, seen=view(differs(DifferenceKind.SORT))) == plausibility(change, seen=view())


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


def test_statistics_that_became_fresh_are_told_once():
    fresh = fact(f"statistics of {ORDERS}", "stale", "fresh")
    stale = fact(f"statistics of {ORDERS}", "fresh", "stale")
    assert candidates_of_facts([fresh]) == []
    assert [one.kind for one in candidates_of_facts([stale])] == [CauseKind.STATISTICS]


def test_other_data_of_a_column_is_told_in_numbers_instead_of_the_update_that_found_it():
    found = ranked(FRESH, SKEWED, seen=view(ACCESS, compared=["(customer_id = $1)"]))
    assert kinds(found) == [SKEW, CauseKind.PLAN]
    assert found[0].candidate.what == (
        "n_distinct of dbo.Orders.customer_id went from 12,000 to 3, its most common value from <0.1 % to 98 % of the "
        "rows, found by ANALYZE at 2026-03-01 11:51:00 UTC"
    )
    assert found[0].evidence == (
        "14 min before the first bad interval began",
        "the plan reads dbo.Orders",
        "it goes by customer_id",
        "the plans differ at this table: Orders: Index Seek became Table Scan",
    )


@pytest.mark.parametrize("compared", [[], ["(old_customer_id = $1)"]])
def test_other_data_of_a_column_that_no_condition_names_counts_less_than_the_statistics(compared):
    found = ranked(FRESH, SKEWED, seen=view(ACCESS, compared=compared))
    assert kinds(found) == [CauseKind.STATISTICS, CauseKind.PLAN, SKEW]
    assert found[-1].evidence[-1] == "but does not go by customer_id"


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


def test_postgresql_and_editions_have_words_of_their_own():
    changes = [fact("PostgreSQL version", "18beta1", "18.0"), fact("SQL Server edition", "Standard", "Enterprise")]
    assert [one.what for one in candidates_of_facts(changes)] == [
        "PostgreSQL was updated from 18beta1 to 18.0",
        "SQL Server edition changed from Standard to Enterprise",
    ]


def test_loss_of_rows_counts_less_than_growth():
    shrunk = replace(GROWN, before=GROWN.after, after=GROWN.before)
    assert plausibility(shrunk, seen=STAYED, incident=SAME_PLAN) < 0.15 < plausibility(GROWN, seen=STAYED)


def test_growth_in_steps_is_one_change_and_slow_growth_is_none():
    sizes = ["100000", "120000", "140000", "160000"]
    steps = [
        fact(f"rows of {ORDERS}", was, now, minutes)
        for was, now, minutes in zip(sizes, sizes[1:], (200, 100, 5), strict=False)
    ]
    (found,) = candidates_of_facts(steps)
    assert (found.before, found.after, found.at) == ("100000", "160000", steps[-1].seen_at)
    assert found.what == "table dbo.Orders grew from about 100,000 to 160,000 rows (x1.6)"
    assert candidates_of_facts(steps[:2]) == []


def test_one_change_seen_in_many_databases_is_one_of_the_instance():
    everywhere = [replace(MEMORY, ref=DatabaseRef("prod", name)) for name in ("a", "b", "c")]
    found = rank_causes(INSTANCE, candidates_of_facts(everywhere), PlanView())
    assert [(one.candidate.databases, one.plausibility) for one in found] == [(3, 0.38)]
    assert "seen in 3 databases of the instance" in found[0].evidence
    (alone,) = rank_causes(INSTANCE, candidates_of_facts(everywhere[:1]), PlanView())
    assert alone.plausibility < found[0].plausibility
    (table,) = rank_causes(INSTANCE, candidates_of_facts([GONE]), PlanView())
    assert table.plausibility < alone.plausibility


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


def test_an_altered_table_is_told_unless_it_is_known_what_of_it_changed():
    altered = fact(f"alteration of {ORDERS}", "2026-01-01T00:00:00", "2026-03-01T07:00:00")
    assert kinds(ranked(altered))[0] is CauseKind.TABLE
    assert [one.candidate.about for one in ranked(altered, GONE)] == ["ix_a", NEW]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (fact(f"forced plan {QUERY} {OLD}", "forced", ""), "that was the plan before the incident"),
        (fact(f"forced plan {QUERY} {NEW}", "", "forced"), "that is the plan of the incident"),
        (
            fact(f"forced plan {QUERY} {OLD}", "forced", "forced, 3 failures: NO_INDEX"),
            "that was the plan before the incident, which runs with another one",
        ),
        (fact(f"query hint {QUERY}", "", "OPTION (MAXDOP ?)"), "the statement has another plan since"),
    ],
)
def test_forcing_counts_by_which_plan_it_is_about(change, told):
    found = ranked(change)[0]
    assert (found.candidate.kind, found.word, found.evidence[-1]) == (CauseKind.FORCING, "likely", told)


def test_the_change_of_plan_alone_is_never_told_as_the_cause():
    assert telling_cause(ranked()) is None
    assert telling_cause(ranked(GONE)).candidate.about == "ix_a"
    assert telling_cause(ranked(fact("something else", "a", "b"))) is None


def test_the_list_is_bounded_and_plausibilities_are_between_none_and_certainty():
    many = [fact(f"setting s{number}", "1", "2", minutes=number) for number in range(2 * MOST_CAUSES)]
    found = ranked(*many, GONE, UNFORCED, LEVEL)
    assert len(found) == MOST_CAUSES
    assert all(0 < one.plausibility < 1 for one in found)
    assert found == tuple(sorted(found, key=lambda one: -one.plausibility))


@pytest.mark.parametrize(
    ("value", "word"), [(0.99, "likely"), (0.7, "likely"), (0.69, "plausible"), (0.4, "plausible"), (0.2, "possible")]
)
def test_each_plausibility_has_a_word(value, word):
    assert word_of(value) == word
    assert word_of(0.0) == "unlikely"
