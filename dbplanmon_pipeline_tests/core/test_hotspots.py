import numpy as np
import pytest

from dbplanmon_pipeline.core.hotspots import hotspots
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


def workload(costs, reads=None):
    made = Workload(len(costs), 4, cost=costs, calls=10, noise=0)
    made.calls[:] = 10
    if reads is not None:
        made.reads[:] = np.array(reads, float)[:, None]
    return made


def ranking(found, rank_by):
    return [hotspot.query_hash for hotspot in found if hotspot.rank_by == rank_by]


def test_each_resource_has_its_own_order():
    found = hotspots(workload([100, 300, 200], [30, 10, 20]).frame(), top_n=2)
    assert ranking(found, "elapsed_time_us") == [2, 3]
    assert ranking(found, "worker_time_us") == [2, 3]
    assert ranking(found, "logical_reads_pages") == [1, 3]


def test_totals_and_shares_cover_the_window():
    first = hotspots(workload([100, 300]).frame(), top_n=1)[0]
    assert (first.ref, first.query_hash, first.rank) == (DatabaseRef("shop", "db0"), 2, 1)
    assert (first.execution_count, first.elapsed_time_us, first.share) == (40, pytest.approx(12_000), 0.75)


def test_the_combined_score_rewards_cost_in_every_resource():
    made = workload([300, 290, 1], [1, 290, 300])
    made.worker[0] = 1
    assert ranking(hotspots(made.frame()), "combined")[0] == 2


def test_idle_statements_do_not_enter_the_combined_ranking():
    costs, reads = [1000, 900] + [0.01] * 50, [900, 1000] + [0.001] * 50
    assert sorted(ranking(hotspots(workload(costs, reads).frame(), top_n=20), "combined")) == [1, 2]


def test_a_resource_nobody_reports_has_no_ranking():
    found = hotspots(workload([100, 300]).on_postgres().frame())
    assert {hotspot.rank_by for hotspot in found} == {"elapsed_time_us", "logical_reads_pages", "combined"}
    assert np.isnan(found[0].worker_time_us)


def test_the_rest_that_capture_gathers_counts_in_the_whole_but_is_not_ranked():
    frame = workload([100, 300]).frame()
    rows = frame.rows.assign(query_hash=frame.rows["query_hash"].replace(2, OTHER_STATEMENTS))
    found = hotspots(IntervalFrame(rows, frame.databases))
    assert ranking(found, "elapsed_time_us") == [1]
    assert found[0].share == pytest.approx(0.25)


def test_an_empty_window_has_no_hotspots():
    frame = workload([100]).frame()
    assert hotspots(IntervalFrame(frame.rows.iloc[:0], {})) == []
