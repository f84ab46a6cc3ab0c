from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.core.model import CapturedPlan, hash_text
from dbplanmon_pipeline.core.ports import KnownStatement, StatementKey
from dbplanmon_pipeline.core.readings.capture import (
    OTHER_STATEMENTS,
    attribute_plans,
    select_rows,
    wanted_plans,
    wanted_texts,
)
from dbplanmon_pipeline.core.readings.deltas import empty_rows
from dbplanmon_pipeline_tests.core.readings.small_readings import at, column, counter, reading, rows, us


def work(query, *, ran=10, elapsed=1000, worker=1000, pages=10, **more):
    return {
        "query": query,
        "execution_count": ran,
        "elapsed_time_us": elapsed,
        "worker_time_us": worker,
        "logical_reads_pages": pages,
        **more,
    }


def queries(found):
    return found.query_hash.tolist()


def test_the_fixed_hash_of_other_statements_never_changes():
    assert hash_text(OTHER_STATEMENTS) == "6f74686572730001"


def test_the_dearest_by_each_measure_are_kept_and_the_rest_is_summed():
    found = select_rows(
        rows(
            work(1, elapsed=9_000),
            work(2, worker=9_000),
            work(3, pages=9_000),
            work(4, ran=9_000),
            work(5, ran=5, elapsed=30, worker=20, pages=4),
            work(6, ran=6, elapsed=40, worker=10, pages=3),
        ),
        top_n=1,
        min_executions=2,
    )
    assert queries(found) == [1, 2, 3, 4, OTHER_STATEMENTS]
    rest = [column(found, name)[-1] for name in ("execution_count", "elapsed_time_us", "worker_time_us")]
    assert rest == [11, 70, 30]
    assert found.plan_hash[-1] == 0


def test_a_single_execution_is_kept_only_when_it_was_dear():
    found = select_rows(
        rows(work(1, ran=1, elapsed=1_000_000), work(2, ran=1, elapsed=999_999), work(3, ran=2)),
        top_n=9,
        min_executions=2,
    )
    assert queries(found) == [1, 3, OTHER_STATEMENTS]


def test_all_plans_of_a_kept_statement_are_kept():
    found = select_rows(
        rows(work(1, plan=5, elapsed=9_000), work(1, plan=6, ran=1, elapsed=1, worker=1, pages=1), work(2)),
        top_n=1,
        min_executions=2,
    )
    assert list(zip(queries(found), found.plan_hash.tolist(), strict=True))[:2] == [(1, 5), (1, 6)]


def test_the_rest_keeps_its_intervals_apart():
    late = {"start": at(-60), "end": at(0)}
    found = select_rows(rows(work(1), work(2, ran=1), work(3, ran=1, **late)), top_n=1, min_executions=2)
    assert [begin for query, begin in zip(queries(found), found.interval_start_us, strict=True) if query != 1] == [
        us(at(-60)),
        us(at(0)),
    ]


def test_nothing_is_summed_when_all_is_kept():
    given_rows = rows(work(2), work(1))
    assert select_rows(given_rows, top_n=5, min_executions=2) is given_rows


def test_no_rows_stay_no_rows():
    assert len(select_rows(empty_rows(), top_n=5, min_executions=2)) == 0


def test_a_measure_nobody_has_keeps_nobody():
    found = select_rows(
        rows(work(1, elapsed=0, worker=np.nan, pages=0), work(2, elapsed=0, worker=np.nan, pages=0, ran=99)),
        top_n=1,
        min_executions=2,
    )
    assert queries(found) == [2, OTHER_STATEMENTS]


AMOUNTS = st.integers(0, 3_000_000)


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 2), st.integers(1, 9), AMOUNTS, AMOUNTS, AMOUNTS), max_size=25
    ),
    st.integers(0, 4),
    st.integers(0, 6),
)
@settings(max_examples=80, deadline=None)
def test_totals_stay_true_whatever_is_kept(entries, top_n, min_executions):
    every = rows(
        *(
            work(query, plan=plan, ran=ran, elapsed=elapsed, worker=worker, pages=pages)
            for query, plan, ran, elapsed, worker, pages in entries
        )
    )
    found = select_rows(every, top_n=top_n, min_executions=min_executions)
    np.testing.assert_allclose(np.nansum(found.values, axis=0), np.nansum(every.values, axis=0))


NOW = at(60)
NEVER = KnownStatement(0, None, True)


def looked(minutes_ago, plan=77):
    return KnownStatement(plan, NOW - timedelta(minutes=minutes_ago), True)


def wanted(found, known, *, plans=frozenset(), limit=10):
    state = reading(
        NOW,
        *(
            counter(f"key {query}/{plan}", query=query, plan=plan)
            for query, plan in zip(found.query_hash.tolist(), found.plan_hash.tolist(), strict=True)
            if query != OTHER_STATEMENTS
        ),
    )
    return wanted_plans(state, found, known, plans, now=NOW, limit=limit, recheck_after=timedelta(minutes=30))


def test_plans_that_counters_name_are_wanted_until_their_body_is_stored():
    found = rows(work(1, plan=11, elapsed=5), work(1, plan=12, elapsed=9), work(2, plan=13, elapsed=7))
    assert wanted(found, {}, plans=frozenset({13})) == [
        StatementKey(1, 12, "key 1/12"),
        StatementKey(1, 11, "key 1/11"),
    ]


def test_a_plan_shared_by_two_statements_is_asked_for_once():
    assert len(wanted(rows(work(1, plan=11), work(2, plan=11)), {})) == 1


def test_statements_never_looked_at_come_first_the_dearest_before_the_others():
    found = rows(work(1, elapsed=5), work(2, elapsed=9), work(3, elapsed=999), work(4, elapsed=7))
    order = wanted(found, {3: looked(40), 4: NEVER})
    assert [key.query_hash for key in order] == [2, 4, 1, 3]
    assert order[0] == StatementKey(2, 0, "key 2/0")


def test_old_looks_alternate_between_the_dearest_and_the_longest_unchecked():
    found = rows(*(work(query, elapsed=1000 - query) for query in range(1, 6)))
    known = {query: looked(30 + 10 * query) for query in range(1, 6)}
    assert [key.query_hash for key in wanted(found, known)] == [1, 5, 2, 4, 3]


def test_a_recent_look_is_not_repeated():
    assert wanted(rows(work(1), work(2)), {1: looked(26), 2: looked(27)}) == [StatementKey(2, 0, "key 2/0")]


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_no_more_than_the_limit_are_wanted(limit):
    found = rows(work(1, plan=9), work(2), work(3), work(4))
    assert len(wanted(found, {}, limit=limit)) == limit


def test_the_sum_of_other_statements_has_no_plan_to_look_at():
    assert wanted(rows(work(OTHER_STATEMENTS)), {}) == []


def test_a_cheap_statement_is_looked_at_in_the_end_though_dear_ones_fill_the_limit():
    found = rows(*(work(query, elapsed=10_000 - query) for query in range(1, 21)))
    checked = {query: NOW - timedelta(hours=2) + timedelta(minutes=query) for query in range(1, 21)}
    state = reading(NOW, *(counter(str(query), query=query) for query in range(1, 21)))
    for tick in range(20):
        now = NOW + timedelta(minutes=5 * tick)
        known = {query: KnownStatement(1, moment, True) for query, moment in checked.items()}
        chosen = wanted_plans(state, found, known, frozenset(), now=now, limit=4, recheck_after=timedelta(minutes=5))
        checked |= {key.query_hash: now for key in chosen}
    assert min(checked.values()) >= NOW


def test_texts_are_wanted_of_statements_without_one_dearest_first():
    found = rows(work(1, elapsed=1), work(2, elapsed=9), work(3, elapsed=5), work(OTHER_STATEMENTS, elapsed=99))
    state = reading(NOW, *(counter(f"key {query}", query=query) for query in (1, 2, 3)))
    known = {3: looked(1), 1: KnownStatement(0, None, has_text=False)}
    assert wanted_texts(state, found, known, limit=9) == [StatementKey(2, 0, "key 2"), StatementKey(1, 0, "key 1")]
    assert [key.query_hash for key in wanted_texts(state, found, known, limit=1)] == [2]


def test_captured_plans_name_the_rows_before_known_ones_do():
    found = attribute_plans(
        rows(work(1), work(2), work(3), work(4, plan=44)),
        {1: looked(5, plan=10), 2: looked(5, plan=20), 4: looked(5, plan=40)},
        [CapturedPlan(1, 11, "pgjson", "{}"), CapturedPlan(4, 45, "pgjson", "{}")],
    )
    assert found.plan_hash.tolist() == [11, 20, 0, 44]


def test_a_failed_look_leaves_the_known_plan():
    found = attribute_plans(rows(work(1)), {1: looked(5, plan=10)}, [CapturedPlan(1, 0, reason="no permission")])
    assert found.plan_hash.tolist() == [10]


def test_rows_that_turn_out_to_be_of_one_plan_become_one():
    found = attribute_plans(rows(work(1, ran=2), work(1, plan=10, ran=3)), {1: looked(5, plan=10)}, [])
    assert (found.plan_hash.tolist(), column(found, "execution_count")) == ([10], [5])


def test_attributing_plans_to_no_rows_gives_no_rows():
    assert len(attribute_plans(empty_rows(), {}, [])) == 0
