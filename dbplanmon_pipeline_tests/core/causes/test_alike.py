"""The same change of many partitions is one cause."""

from dbplanmon_pipeline.core.causes.candidates import candidates_of_facts
from dbplanmon_pipeline.core.causes.effects import PlanView
from dbplanmon_pipeline.core.causes.ranking import rank_causes
from dbplanmon_pipeline_tests.core.causes.test_ranking import fact
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION


def told(*facts):
    tables = frozenset(one.name.rpartition(" ")[2] for one in facts)
    used = frozenset(f"orders_{number}_day_idx" for number in range(20))
    view = PlanView(tables, used, frozenset(), is_changed=True, is_known=True)
    return [one.candidate.what for one in rank_causes(PLAN_REGRESSION, candidates_of_facts(facts), view)]


def lost(number, minutes=10):
    name = f"orders_{number}_day_idx"
    return fact(f"indexes of public.orders_{number}", f'{{"{name}":"CREATE INDEX"}}', "{}", minutes)


def test_an_index_lost_by_all_partitions_is_one_cause():
    (one,) = told(*map(lost, range(15)))
    assert one == "index orders_0_day_idx of public.orders_0 is gone, and the same of 14 more like it"


def test_other_changes_stay_apart():
    grown = fact("rows of public.orders_3", "1000", "90000")
    other = fact("indexes of public.customers", '{"customers_day_idx":"CREATE INDEX"}', "{}")
    assert len(told(lost(1), lost(2), grown, other)) == 3


def test_two_indexes_of_one_table_stay_two():
    both = fact("indexes of public.orders", '{"ix_1":"CREATE INDEX","ix_2":"CREATE INDEX"}', "{}")
    assert sorted(told(both)) == ["index ix_1 of public.orders is gone", "index ix_2 of public.orders is gone"]
