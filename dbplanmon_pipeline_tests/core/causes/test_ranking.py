"""Scenarios: what is known to have changed, and what a DBA would suspect first."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.causes.candidates import CauseKind, candidates_of_facts
from dbplanmon_pipeline.core.causes.effects import PlanView
from dbplanmon_pipeline.core.causes.ranking import MOST_CAUSES, TELLING, rank_causes, telling_cause, word_of
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind
from dbplanmon_pipeline_tests.core.causes.suspicions import (
    ACCESS,
    COLUMN,
    COMPARING,
    FRESH,
    GONE,
    GROWN,
    INSTANCE,
    LEVEL,
    MEMORY,
    NEW,
    OLD,
    ORDERS,
    PARALLEL,
    QUERY,
    RESTARTED,
    SAME_PLAN,
    SKEW,
    SKEWED,
    STAYED,
    TYPE,
    UNFORCED,
    UPDATED,
    differs,
    fact,
    kinds,
    plausibility,
    ranked,
    view,
)
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION


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
