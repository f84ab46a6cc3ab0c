"""What is ordered to go wrong in the simulated fleet goes wrong that way, there and nowhere else."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.readings.counters import EXECUTIONS
from dbplanmon_pipeline.errors import CannotConnect
from dbplanmon_pipeline.providers.simulated.statements import plan_hash
from dbplanmon_pipeline_tests.providers.simulated_histories import (
    NOON,
    assert_same_work,
    budget,
    fault,
    fleet,
    history,
    minutes,
    read,
    reading_of,
    work_between,
)


def test_restart_ends_every_life_and_begins_again_from_zero():
    same = history(fault("restart", at=NOON))
    before, after = reading_of(same, NOON - minutes(1)), reading_of(same, NOON + minutes(5))
    assert before.keys == after.keys
    assert not set(before.lives) & set(after.lives)
    assert (after.values[:, EXECUTIONS] < before.values[:, EXECUTIONS]).all()
    assert set(after.life_began_us.tolist()) == {int(NOON.timestamp() * 1e6)}


def test_after_a_restart_the_new_life_holds_all_work_since_then():
    same = history(fault("restart", at=NOON))
    at_once = reading_of(same, NOON)
    assert at_once.values[:, EXECUTIONS].tolist() == [1.0] * 50
    recorded = work_between(reading_of(same, NOON - minutes(1)), reading_of(same, NOON + minutes(5)))
    assert_same_work(recorded, same.truth(NOON - timedelta(microseconds=1), NOON + minutes(5)))


def test_a_server_that_is_down_refuses_and_does_no_work():
    down = fault("restart", until=NOON + minutes(10))
    with (
        pytest.raises(CannotConnect, match="down for a restart"),
        fleet(down, at=NOON + minutes(2)).open("sim0001", budget()) as reader,
    ):
        reader.read_counters()
    assert history(down).truth(NOON, NOON + minutes(9)) == {}
    assert len(reading_of(history(down), NOON + minutes(2))) == 0
    assert len(read(fleet(down, at=NOON + minutes(11), source="plan_cache"))) == 50


def test_plan_regression_runs_with_another_plan_and_costs_more():
    same = history(fault("plan_regression", factor=8.0, until=NOON + timedelta(days=1)))
    query = int(reading_of(same, NOON - minutes(1)).query_hash[7])
    normal, bad = (query, plan_hash(7, 0)), (query, plan_hash(7, 1))
    before = same.truth(NOON - timedelta(days=1), NOON - minutes(1))
    during = same.truth(NOON, NOON + timedelta(hours=23))
    assert normal in before
    assert bad not in before
    assert bad in during
    assert normal not in during
    ratio = (during[bad].elapsed_us / during[bad].executions) / (before[normal].elapsed_us / before[normal].executions)
    assert 7 < ratio < 9
    assert normal in same.truth(NOON + timedelta(days=1), NOON + timedelta(days=2))


def test_a_new_plan_is_a_new_counter_that_began_with_it():
    same = history(fault("plan_regression"))
    before, after = reading_of(same, NOON - minutes(1)), reading_of(same, NOON + minutes(1))
    (new,) = set(after.keys) - set(before.keys)
    row = after.keys.index(new)
    assert after.life_began_us[row] == int(NOON.timestamp() * 1e6)
    assert after.values[row, EXECUTIONS] >= 1


def test_a_plan_that_comes_back_goes_on_with_its_counter():
    same = history(fault("plan_regression", until=NOON + minutes(30)))
    before, after = reading_of(same, NOON - minutes(1)), reading_of(same, NOON + minutes(60))
    row_before = before.query_hash.tolist().index(reading_of(same, NOON).query_hash[7])
    key = before.keys[row_before]
    assert after.lives[after.keys.index(key)] == before.lives[row_before]
    assert after.values[after.keys.index(key), EXECUTIONS] > before.values[row_before, EXECUTIONS]


@pytest.mark.parametrize(
    ("kind", "plan", "elapsed", "worker", "reads"),
    [
        ("plan_regression", 1, 16.0, 16.0, 16.0),
        ("slower_same_plan", 0, 16.0, 16.0, 16.0),
        ("harmless_plan_change", 2, 16.0, 16.0, 16.0),
        ("small_but_double", 0, 16.0, 16.0, 1.0),
        ("instance_slow", 0, 16.0, 2.0, 1.0),
    ],
)
def test_each_kind_changes_the_costs_it_names(kind, plan, elapsed, worker, reads):
    """Compared with a harmless restart-free twin at factor 1, which cuts the same stretches."""
    end = NOON + timedelta(hours=12)
    query = reading_of(history(), NOON).query_hash[7]
    plain = history(fault(kind, factor=1.0)).truth(NOON, end)
    before = plain[(int(query), plan_hash(7, plan))]
    after = history(fault(kind, factor=16.0)).truth(NOON, end)[(int(query), plan_hash(7, plan))]
    assert after.executions == before.executions
    assert after.elapsed_us / before.elapsed_us == pytest.approx(elapsed)
    assert after.worker_us / before.worker_us == pytest.approx(worker)
    assert after.reads_pages / before.reads_pages == pytest.approx(reads)


def test_a_small_statement_stays_small_when_it_doubles():
    provider = fleet(fault("small_but_double", factor=2.0))
    profile = provider.profiles("sim0001")[7]
    extra_s_per_hour = profile.executions_per_hour * profile.elapsed_us / 1e6
    assert extra_s_per_hour < 0.5


def test_instance_slow_concerns_every_statement_of_every_database():
    slow = fault("instance_slow", database="", factor=3.0)
    for name in ("sim0001", "sim0003"):
        calm, bad = fleet().truth(name, NOON, NOON + minutes(60)), fleet(slow).truth(name, NOON, NOON + minutes(60))
        total = sum(w.elapsed_us for w in bad.values()) / sum(w.elapsed_us for w in calm.values())
        assert 2.5 < total < 3.5


def test_a_fault_of_one_database_leaves_the_others_alone():
    broken, whole = fleet(fault("plan_regression"), at=NOON + minutes(9)), fleet(at=NOON + minutes(9))
    np.testing.assert_array_equal(read(broken, "sim0002").values, read(whole, "sim0002").values)


def test_a_statement_that_runs_more_often_or_is_new_costs_per_execution_what_it_did():
    begin, end = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    kinds = (("more_executions", 3), ("new_statement", 4))
    faults = [fault(kind, factor=9.0, statement=number) for kind, number in kinds]
    calm, busy = (fleet(*some, statements=8) for some in ((), faults))
    before, after = (busy.truth("sim0001", *span) for span in ((begin, NOON - timedelta(microseconds=1)), (NOON, end)))
    usual = calm.truth("sim0001", NOON, end)
    often, new = ((profile.query_hash, profile.plan_hash) for profile in busy.profiles("sim0001")[3:5])
    assert after[often].executions == pytest.approx(9 * usual[often].executions, abs=9)
    cost = usual[often].elapsed_us / usual[often].executions
    assert after[often].elapsed_us / after[often].executions == pytest.approx(cost, rel=0.3)
    assert new not in before
    assert after[new].executions == pytest.approx(usual[new].executions, abs=1)
