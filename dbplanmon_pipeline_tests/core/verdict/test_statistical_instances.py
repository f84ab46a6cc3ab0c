"""What statements of one instance or database share, and what they do not."""

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline_tests.core.verdict.judged import THREE_SECONDS, evaluations, fired_queries
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


def test_instance_wide_slowness_is_one_instance_verdict_and_nothing_else():
    workload = Workload(50)
    workload.cost[:, 48:] *= 2
    found = evaluations(workload, range(48, 60), databases=3)
    assert fired_queries(found) == [[]] * 12
    assert [len(evaluation.instance_verdicts) for evaluation in found] == [0] + [1] * 11
    verdict = found[1].instance_verdicts[0]
    assert (verdict.instance, verdict.statements, verdict.began_at) == ("shop", 50, workload.moment(47))
    assert verdict.effect_ratio == pytest.approx(2, rel=0.1)
    assert verdict.extra_seconds_per_hour == pytest.approx(50 * 480 * 0.005, rel=0.15)
    assert found[1].slow_instances == {"shop"}


@pytest.mark.parametrize(("own", "fired"), [(1.5, []), (20, [4])])
def test_a_statement_may_feel_more_of_a_disturbance_than_was_known(own, fired):
    workload = Workload(20, calm_before=3)
    workload.cost[:, 48:] *= 4
    workload.cost[3, 48:] *= own
    workload.plan[3, 48:] = 77
    assert fired_queries(evaluations(workload, range(50, 56))) == [fired] * 6


def test_one_slow_database_of_several_is_one_verdict_and_nothing_else():
    workload = Workload(60, calm_before=1)
    workload.cost[1::3, 48:] *= 2.5
    found = evaluations(workload, range(48, 60), databases=3)
    assert fired_queries(found) == [[]] * 12
    assert [[one.database for one in each.instance_verdicts] for each in found] == [[]] + [["db1"]] * 11
    verdict = found[1].instance_verdicts[0]
    assert (verdict.instance, verdict.statements, verdict.began_at) == ("shop", 20, workload.moment(47))
    assert verdict.effect_ratio == pytest.approx(2.5, rel=0.15)
    assert verdict.extra_seconds_per_hour == pytest.approx(20 * 480 * 1.5 * 0.005, rel=0.2)
    assert "20 of 20 statements of the database db1" in verdict.evidence[0]
    assert (found[1].slow_instances, found[1].slow_databases) == (frozenset(), {DatabaseRef("shop", "db1")})


def test_a_handful_of_statements_suffices_to_see_that_their_database_is_slow():
    workload = Workload(30, calm_before=1)
    workload.cost[1::6, 48:] *= 4
    found = evaluations(workload, range(50, 54), databases=6)
    assert fired_queries(found) == [[]] * 4
    assert [[one.database for one in each.instance_verdicts] for each in found] == [["db1"]] * 4


def test_a_slow_disk_is_one_verdict_of_the_instance_and_none_of_those_that_wait_for_it():
    workload = Workload(30, calm_before=1)
    workload.worker[::3] = 0.2 * workload.cost[::3]
    workload.worker[1::3] = 0.95 * workload.cost[1::3]
    workload.worker[2::3] = 0.95 * workload.cost[2::3]
    workload.cost[::3, 48:] *= 3
    found = evaluations(workload, range(50, 54))
    assert fired_queries(found) == [[]] * 4
    assert [each.slow_instances for each in found] == [{"shop"}] * 4
    verdict = found[0].instance_verdicts[0]
    assert (verdict.database, verdict.statements) == ("", 10)
    assert "10 of 30 statements wait longer at once" in verdict.evidence[0]


def test_what_a_disk_holds_up_need_not_wait_more_than_others_as_a_rule():
    workload = Workload(30, calm_before=1)
    workload.worker = 0.6 * workload.cost
    workload.cost[::3, 46:] *= np.linspace(2, 4, 10)[:, None]
    workload.slow_down(4, slice(48, None), 6)
    found = evaluations(workload, range(50, 54))
    assert fired_queries(found) == [[5]] * 4
    assert [each.slow_instances for each in found] == [{"shop"}] * 4


def test_plans_that_flip_all_over_a_database_are_told_each_and_not_as_a_slow_database():
    workload = Workload(60, calm_before=1)
    workload.slow_down(slice(1, None, 3), slice(48, None), 4)
    workload.plan[1::3, 48:] = 77
    found = evaluations(workload, [51], databases=3)
    assert not found[0].instance_verdicts
    assert len(found[0].verdicts) == 20


def test_a_statement_far_worse_than_its_slow_instance_is_still_reported():
    workload = Workload(50)
    workload.cost[:, 48:] *= 2
    workload.slow_down(3, slice(48, None), 6)
    found = evaluations(workload, [51])
    assert fired_queries(found) == [[4]]
    assert len(found[0].instance_verdicts) == 1


@pytest.mark.parametrize(("new_plan", "first"), [(77, 49), (0, 50)], ids=["new plan", "same plan"])
def test_statements_that_slow_their_neighbours_down_are_the_cause_not_the_instance(new_plan, first):
    workload = Workload(20, step=THREE_SECONDS, calls=6, cost=2000.0).on_postgres()
    for statement, factor in ((0, 100), (1, 300), (2, 1000)):
        workload.slow_down(statement, slice(48, None), factor)
        workload.plan[statement, 48:] = new_plan
    workload.cost[3:, 48:] *= 1.6
    found = evaluations(workload, range(48, 60))
    assert fired_queries(found) == [[]] * (first - 48) + [[1, 2, 3]] * (60 - first)
    assert all(not evaluation.instance_verdicts for evaluation in found)


@pytest.mark.parametrize("statements", [5, 7])
def test_few_statements_suffice_to_see_that_neighbours_only_suffer(statements):
    workload = Workload(statements, step=THREE_SECONDS, calls=6, cost=2000.0).on_postgres()
    workload.slow_down(0, slice(48, None), 300)
    workload.cost[1:, 48:] *= 1.7
    found = evaluations(workload, range(49, 60))
    assert fired_queries(found)[1:] == [[1]] * 10
    assert all(not evaluation.instance_verdicts for evaluation in found)


def test_broken_statements_are_seen_even_where_they_are_most_of_an_instance():
    workload = Workload(5, step=THREE_SECONDS, calls=6, cost=2000.0).on_postgres()
    workload.slow_down(slice(0, 3), slice(48, None), 100)
    assert fired_queries(evaluations(workload, [51])) == [[1, 2, 3]]


def test_three_broken_statements_of_twenty_do_not_make_the_instance_slow():
    workload = Workload(20)
    workload.slow_down(slice(0, 3), slice(48, None), 500)
    found = evaluations(workload, range(50, 60))
    assert fired_queries(found) == [[1, 2, 3]] * 10
    assert all(not evaluation.instance_verdicts for evaluation in found)
