"""Figures of a statement by time and by plan, checked by hand."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from lxml import etree

from dbplanmon_pipeline.core.kpis.rules import KpiLimits, KpiResult, KpiState
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports.page_lists import PlanUse
from dbplanmon_pipeline.core.ports.pages import Normal
from dbplanmon_pipeline.web.charts.plan_lanes import Lane, merged, plan_lanes
from dbplanmon_pipeline.web.charts.scales import value_scale
from dbplanmon_pipeline.web.pages.kpis import limit_words
from dbplanmon_pipeline.web.pages.spans import DAY, METRIC_CHOICES, Span
from dbplanmon_pipeline.web.pages.statement_series import columns_of, known_metrics, statement_series

END = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
FIVE = timedelta(minutes=5)
READINGS = Span("24h", "24 hours", DAY)
DAYS = Span("365d", "a year", 365 * DAY, DAY)


def rows(*found):
    """Each: minutes before END at which it ended, plan, executions, CPU of one [us]; no reads are known."""
    return columns_of(
        pd.DataFrame(
            {
                "plan_hash": np.array([plan for _, plan, _, _ in found], np.int64),
                "interval_start_us": [epoch_us(END - timedelta(minutes=ago) - FIVE) for ago, *_ in found],
                "interval_end_us": [epoch_us(END - timedelta(minutes=ago)) for ago, *_ in found],
                "execution_count": [float(count) for _, _, count, _ in found],
                "elapsed_time_us": [2.0 * count * cost for _, _, count, cost in found],
                "worker_time_us": [float(count * cost) for _, _, count, cost in found],
                "logical_reads_pages": [math.nan] * len(found),
            }
        )
    )


def series(found, span=READINGS, metric="cpu", **facts):
    return statement_series(
        found, span, METRIC_CHOICES[metric], start=END - span.length, end=END, cadence=FIVE, **facts
    )


def test_plans_of_one_reading_are_added_up_by_their_executions():
    made = series(rows((10, 1, 10, 100), (10, 2, 30, 500), (5, 2, 10, 500)))

    assert [cells[1:] for _, cells in made.rows] == [("400 µs", "40", "A 00000000"), ("500 µs", "10", "A 00000000")]
    assert made.whole.cpu_us == pytest.approx((10 * 100 + 40 * 500) / 50)
    assert math.isnan(made.whole.reads_pages)


def test_the_plan_that_ran_last_comes_first_and_others_that_are_known_follow():
    uses = [PlanUse(plan, END, END, is_kept=True) for plan in (1, 2, 9)]
    made = series(rows((30, 2, 1, 1), (10, 1, 4, 100), (5, 0, 1, 1)), uses=uses)

    assert [(plan.plan_hash, plan.letter, plan.cost.executions) for plan in made.plans] == [
        (0, "A", 1),
        (1, "B", 4),
        (2, "C", 1),
        (9, "", 0),
    ]
    assert made.plans[0].use is None


def test_only_so_many_plans_have_a_lane():
    made = series(rows(*((10 + place, place + 1, 1, 1) for place in range(8))))
    assert [plan.letter for plan in made.plans] == [*"ABCDEF", "", ""]
    assert len(etree.fromstring(str(made.lanes)).findall("text")) == 6


def test_a_lane_is_broken_where_the_plan_did_not_run():
    made = series(rows((300, 1, 1, 1), (295, 1, 1, 1), (60, 1, 1, 1), (55, 2, 1, 1)))
    lanes = etree.fromstring(str(made.lanes)).findall("rect")
    assert [rect.get("class").split()[1] for rect in lanes] == ["plan-tone-0", "plan-tone-1", "plan-tone-1"]


def test_a_day_that_goes_on_is_no_fall_of_executions_but_has_a_cost():
    found = rows((26 * 60, 1, 100, 10), (60, 1, 3, 20))
    assert [cells[1] for _, cells in series(found, DAYS, "executions").rows] == ["100"]
    assert [cells[1] for _, cells in series(found, DAYS, "cpu").rows] == ["10 µs", "20 µs"]


def test_what_is_normal_is_a_band_of_costs_alone():
    normal = Normal(END, {"worker_time_us": 10.0}, {"worker_time_us": 20.0})
    found = rows((10, 1, 10, 100))
    assert series(found, normal=normal).has_band
    assert not series(found, metric="elapsed", normal=normal).has_band
    assert not series(found, metric="executions", normal=normal).has_band


def test_without_rows_there_is_no_chart():
    made = series(rows())
    assert (made.chart, made.lanes, made.rows, made.plans) == ("", "", (), ())
    assert series(rows((10, 1, 10, 100)), metric="reads").chart == ""


def test_a_figure_is_known_where_one_row_has_it():
    assert known_metrics(rows((10, 1, 10, 100))) == ["execution_count", "elapsed_time_us", "worker_time_us"]
    assert known_metrics(rows()) == []


def test_spans_that_almost_meet_are_one():
    first, second, third = ((END + n * FIVE, END + (n + 1) * FIVE) for n in (0, 2, 9))
    assert merged([first, second, third], 600) == [(first[0], second[1]), third]


def test_a_very_short_span_is_still_seen():
    lane = Lane("A", 'plan "<x>"', [(END - timedelta(seconds=1), END)])
    (rect,) = etree.fromstring(str(plan_lanes([lane], END - 365 * DAY, END))).findall("rect")
    assert float(rect.get("width")) >= 1


def test_an_axis_reaches_below_zero_where_values_do():
    scale = value_scale([-20.0, 30.0], 250, 30)
    assert scale(-20) < 250
    assert scale(0) == pytest.approx(scale(-20) - (scale(-20) - scale(30)) * 20 / 50)
    assert 0 in [round(tick, 6) for tick in scale.ticks()]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (KpiLimits(), "nothing"),
        (KpiLimits(expected=1), "exactly 1"),
        (KpiLimits(minimum=10, maximum=1400), "at least 10, at most 1,400"),
        (KpiLimits(deviation_percent=30), "within 30 % of the 420 that is normal at this hour of the week"),
    ],
)
def test_limits_read_as_a_sentence(limits, words):
    assert limit_words(limits, KpiResult("k", END, 1.0, KpiState.OK, 400.0, 420.0)) == words
