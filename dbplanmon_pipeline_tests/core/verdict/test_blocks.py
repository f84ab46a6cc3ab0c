"""Instances judged some at a time are judged as all at once would be."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.blocks import blocks_of, instance_parts
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.core.verdict.workloads import NOON, Workload

DETECTOR = StatisticalDetector(DetectorPolicy(lookback_intervals=60))
INSTANCES = ("north", "south", "north", "west", "west", "south")


@pytest.fixture(scope="module")
def fleet():
    """Three instances of two databases, of which one is slow, with a broken statement each; and their baselines."""
    workload = Workload(60, 110, noise=0.1)
    workload.worker = 0.9 * workload.cost
    for statement in (6, 7, 9):
        workload.slow_down(statement, slice(95, None), 6)
    workload.slow_down(slice(1, None, 6), slice(107, None), 3)
    workload.slow_down(slice(5, None, 6), slice(107, None), 3)
    workload.fail(10, slice(95, None), 0.5, plan=77)
    frame = workload.frame(len(INSTANCES))
    frame = IntervalFrame(frame.rows, {at: DatabaseRef(name, f"db{at}") for at, name in enumerate(INSTANCES)})
    return frame, DETECTOR.learn(frame, workload.moment(90)), workload.moment(109)


def said(evaluation):
    told = sorted(
        (v.ref, v.query_hash, v.metric, v.began_at, f"{v.score:.6g}", v.evidence) for v in evaluation.verdicts
    )
    return told, sorted((v.instance, v.database, v.statements) for v in evaluation.instance_verdicts)


@pytest.mark.parametrize("rows", [1, 2_500])
def test_blocks_of_instances_say_what_all_of_them_say(fleet, monkeypatch, rows):
    frame, baselines, now = fleet
    whole = DETECTOR.evaluate(frame, baselines, now)
    assert len(said(whole)[0]) >= 4
    assert whole.slow_instances == {"south"}
    monkeypatch.setattr(blocks_of, "__defaults__", (rows,))
    parts = DETECTOR.evaluate(frame, baselines, now)
    assert said(parts) == said(whole)
    assert (parts.judged, parts.unjudged, parts.failing) == (whole.judged, whole.unjudged, whole.failing)
    assert (parts.slow_instances, parts.slow_databases) == (whole.slow_instances, whole.slow_databases)
    assert set(parts.active) == set(whole.active)
    ran = next(iter(whole.active))
    assert ran in parts.active
    assert (ran[0], -1) not in parts.active


def test_a_block_has_whole_instances_with_their_baselines(fleet):
    frame, baselines, _ = fleet
    blocks = list(blocks_of(frame, baselines, 1))
    assert [set(part.databases) for part, _ in blocks] == [{0, 2}, {1, 5}, {3, 4}]
    assert sum(len(part.rows) for part, _ in blocks) == len(frame.rows)
    for part, own in blocks:
        assert set(part.rows["database_id"]) == set(part.databases)
        assert (np.diff(part.rows["database_id"]) >= 0).all()
        assert set(own.table["database_id"]) == set(part.databases)
        assert len(own.parameters) == len(own.table)
    assert [set(part.databases) for part, _ in blocks_of(frame, baselines, len(frame.rows))] == [set(range(6))]


@pytest.mark.parametrize("rows", [1, 2_500])
def test_instances_learnt_some_at_a_time_are_learnt_as_all_at_once(monkeypatch, rows):
    workload = Workload(60, 110, noise=0.1)
    workload.worker = 0.9 * workload.cost
    frame = workload.frame(len(INSTANCES))
    frame = IntervalFrame(frame.rows, {at: DatabaseRef(name, f"db{at}") for at, name in enumerate(sorted(INSTANCES))})
    whole = DETECTOR.learn(frame, workload.moment(109))
    monkeypatch.setattr(instance_parts, "__defaults__", (rows,))
    parts = DETECTOR.learn(frame, workload.moment(109))
    assert parts.table.equals(whole.table)
    np.testing.assert_allclose(parts.parameters, whole.parameters, rtol=1e-6, atol=1e-9)


def test_parts_have_whole_instances_even_where_their_databases_take_turns():
    frame = Workload(60, 40).frame(len(INSTANCES))

    def parts(names, most):
        refs = {at: DatabaseRef(name, f"db{at}") for at, name in enumerate(names)}
        rows = series_rows(IntervalFrame(frame.rows, refs), 0, 2 * epoch_us(NOON))
        return [sorted(set(rows.database_id[part].tolist())) for part in instance_parts(rows, most)]

    assert parts(("a", "b", "b", "c", "d", "d"), 1) == [[0], [1, 2], [3], [4, 5]]
    assert parts(("a", "b", "b", "c", "d", "d"), 800) == [[0], [1, 2], [3], [4, 5]]
    assert parts(("a", "b", "b", "c", "d", "d"), 1_200) == [[0, 1, 2], [3, 4, 5]]
    assert parts(("a", "b", "a", "c", "d", "d"), 1) == [[0, 1, 2], [3], [4, 5]]
    assert parts(INSTANCES, 1) == [[0, 1, 2, 3, 4, 5]]
    assert parts(INSTANCES, 10_000) == [[0, 1, 2, 3, 4, 5]]


def test_a_frame_of_no_database_is_one_block(fleet):
    frame, baselines, now = fleet
    nothing = IntervalFrame(frame.rows.iloc[:0], {})
    assert DETECTOR.evaluate(nothing, baselines, now + timedelta(days=9)).judged == 0
