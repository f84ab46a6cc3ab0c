"""A record whose series were made once gives what its rows would give, whatever part of it is asked for."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.model import ExcludedSpan
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.frames import SeriesFrame, pools_between, rows_between
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


@pytest.fixture(scope="module")
def workload():
    found = Workload(8, 120, noise=0.2, seed=2)
    found.calls[np.random.default_rng(2).random(found.calls.shape) < 0.3] = 0
    found.calls[3, :60] = 0
    return found


@pytest.fixture(scope="module")
def frame(workload):
    return workload.frame(2)


def part_of(frame, ref):
    chosen = {number: one for number, one in frame.databases.items() if one == ref}
    return IntervalFrame(frame.rows[frame.rows["database_id"].isin(chosen)], chosen)


def assert_same(one, other):
    for name in ("database_id", "query_hash", "instance", "bounds", "series", "start_us", "end_us", "plan_hash"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    for lines, expected in ((one.sums, other.sums), (one.log_cost, other.log_cost)):
        assert set(lines) == set(expected)
        assert len(lines) == len(expected)
        for name in lines:
            np.testing.assert_array_equal(lines[name], expected[name], name)


@pytest.mark.parametrize(("after", "until"), [(-5, 500), (20, 70), (10, 50), (119, 120), (200, 300), (30, 30)])
def test_any_stretch_of_time_has_the_rows_that_ended_in_it(workload, frame, after, until):
    span = (epoch_us(workload.moment(after)), epoch_us(workload.moment(until)))
    record = SeriesFrame.of(frame)
    assert_same(rows_between(record, *span), rows_between(frame, *span))
    ref = sorted(frame.databases.values())[1]
    assert_same(rows_between(record.only({ref}), *span), rows_between(part_of(frame, ref), *span))
    kept = rows_between(frame, *span).counts >= 15
    one, other = (rows_between(source, *span) for source in (record, frame))
    assert_same(one.keep(kept[one.series]), other.keep(kept[other.series]))


def test_a_record_of_ten_thousand_statements_has_all_its_rows():
    fleet = Workload(10_000, 4, seed=1)
    frame = fleet.frame(2)
    span = (epoch_us(fleet.moment(1)), epoch_us(fleet.moment(3)))
    assert_same(rows_between(SeriesFrame.of(frame), *span), rows_between(frame, *span))


def test_its_pools_between_whole_hours_are_those_of_its_rows(workload, frame):
    record, step_us = SeriesFrame.of(frame), 300_000_000
    for after, until in ((-13, 107), (11, 83)):
        span = (epoch_us(workload.moment(after)), epoch_us(workload.moment(until)), step_us)
        for refs in (set(frame.databases.values()), {min(frame.databases.values())}):
            own = frame if len(refs) > 1 else part_of(frame, *refs)
            one, other = pools_between(record.only(refs), *span), pools_between(own, *span)
            for name in ("bounds", "start_us", "end_us", "plan_hash", "first_plan", "changes"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
            assert len(one.figures) == len(set(one.figures))
            for name in one.figures:
                np.testing.assert_array_equal(one.figures[name], other.figures[name], name)
            for name in one.sums:
                np.testing.assert_array_equal(one.sums[name], other.sums[name], name)


def test_what_is_learnt_from_it_is_the_same(workload, frame):
    detector, until = StatisticalDetector(DetectorPolicy()), workload.moment(107)
    ref = min(frame.databases.values())
    spans = [
        ExcludedSpan(ref, 2, until - timedelta(hours=4), until - timedelta(hours=3)),
        ExcludedSpan(ref, 0, until - timedelta(hours=2), until - timedelta(hours=1)),
    ]
    one, other = (detector.learn(source, until, spans) for source in (SeriesFrame.of(frame), frame))
    np.testing.assert_array_equal(one.parameters, other.parameters)
    np.testing.assert_array_equal(one.table, other.table[list(one.table)])
