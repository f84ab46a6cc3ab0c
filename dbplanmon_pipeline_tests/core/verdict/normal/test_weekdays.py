"""What one week tells of its days: levels that begin at midnight come back, improvements that end do not."""

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.normal.baseline import learn_rows
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.pooled import pooled_rows
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline_tests.core.verdict.judged import evaluations, fired_queries
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

DAY, HOUR = 288, 12
MONDAY = DAY // 2
"""First tick of a Monday: the days of a workload begin at noon of a Sunday."""


def cheaper(begin, length, days=7):
    """Statement 2 costs a third for a while."""
    workload = Workload(8, days * DAY, noise=0.05, calls=100)
    workload.slow_down(1, slice(max(begin, 0), begin + length), 1 / 3)
    return workload


def learnt(workload):
    rows = series_rows(workload.frame(), 0, 1 << 62)
    return learn_rows([pooled_rows(rows, 300_000_000)], DetectorPolicy()).views["elapsed_time_us"]


def test_a_day_that_is_cheaper_from_midnight_to_midnight_is_a_level_of_its_weekday():
    assert learnt(cheaper(MONDAY + 2 * DAY, DAY)).weekdays[1].argmin() == 2
    assert np.ptp(learnt(cheaper(MONDAY + 2 * DAY, DAY)).weekdays[1]) > 0.7 * np.log(3)


@pytest.mark.parametrize("late", [2, 4])
def test_a_day_that_is_cheaper_from_some_other_hour_on_is_none(late):
    assert np.ptp(learnt(cheaper(MONDAY + 2 * DAY + late * HOUR, DAY)).weekdays[1]) < 0.1


def test_what_was_cheaper_when_the_record_began_did_not_begin_at_midnight():
    assert np.ptp(learnt(cheaper(0, 2 * DAY - 6 * HOUR)).weekdays[1]) < 0.1


def test_a_weekend_is_cheaper_where_that_begins_and_ends_at_midnight():
    saturday = MONDAY + 5 * DAY
    workload = cheaper(saturday, 2 * DAY, days=8)
    assert learnt(workload).weekend[1] < -0.7 * np.log(3)
    assert learnt(cheaper(saturday - 18 * HOUR, 2 * DAY, days=8)).weekend[1] > -0.3 * np.log(3)


@pytest.mark.parametrize("begin", [MONDAY + 2 * DAY + 2 * HOUR, MONDAY + 4 * DAY + 6 * HOUR])
def test_costs_of_most_of_the_week_are_no_rise_where_one_day_was_cheaper(begin):
    workload = cheaper(begin, DAY, days=15)
    weekly = range(begin - begin % DAY + 7 * DAY + 60, begin + 8 * DAY, 60)
    found = evaluations(workload, weekly, learnt=begin - begin % DAY + 6 * DAY + 143)
    assert fired_queries(found) == [[]] * len(weekly)


def test_a_few_days_that_differ_among_themselves_make_no_weekend():
    workload = Workload(8, 7 * DAY, noise=0.05, calls=100)
    workload.slow_down(1, slice(MONDAY + DAY, MONDAY + 3 * DAY), 0.5)
    assert abs(learnt(workload).weekend[1]) < 0.1
