"""Charts are right in their numbers, tell gaps from zeros, and let nothing through that is not a number or a word."""

import math
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from lxml import etree

from dbplanmon_pipeline.core.plain_words import cost_words
from dbplanmon_pipeline.web.charts.bars import bar
from dbplanmon_pipeline.web.charts.history import HistoryChart, Point, history_chart
from dbplanmon_pipeline.web.charts.scales import TimeScale, value_scale
from dbplanmon_pipeline.web.charts.sparkline import sparkline
from dbplanmon_pipeline.web.charts.svg import element

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
UNKNOWN = math.nan


def drawn(markup):
    return etree.fromstring(str(markup))


def of_class(markup, name):
    return [part for part in drawn(markup).iter() if name in part.get("class", "").split()]


def chart(values, **facts):
    points = [
        Point(NOON + STEP * place, NOON + STEP * (place + 1), value, is_bad=facts.get("bad_from", 99) <= place)
        for place, value in enumerate(values)
        if value is not None
    ]
    facts.pop("bad_from", None)
    end = NOON + STEP * max(len(values), 1)
    return history_chart(HistoryChart("title", "description", "time", cost_words, NOON, end, points, **facts))


def test_text_and_attributes_are_escaped():
    made = element("text", "<b>&", id='"><script>')
    assert str(made) == '<text id="&#34;&gt;&lt;script&gt;">&lt;b&gt;&amp;</text>'


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_coordinate_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="finite"):
        element("circle", cx=value)


def test_a_gap_parts_the_line_and_zero_does_not():
    assert len(of_class(sparkline([1, 2, UNKNOWN, 3, 0, 4], "x"), "spark-line")) == 2
    assert len(of_class(sparkline([1, 2, 0, 3, 0, 4], "x"), "spark-line")) == 1


def test_a_line_without_values_is_nothing_and_a_single_value_is_a_dot():
    assert sparkline([UNKNOWN, UNKNOWN], "x") == ""
    alone = sparkline([UNKNOWN, 5.0, UNKNOWN], "x")
    assert of_class(alone, "spark-line") == []
    assert len(of_class(alone, "spark-end")) == 1


def test_the_largest_value_is_on_top_and_zero_at_the_bottom():
    (line,) = of_class(sparkline([0.0, 10.0], "x"), "spark-line")
    low, high = (float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.get("d")))
    assert (low, high) == (25.5, 2.5)


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [([10, 20, 100], False), ([10, 500], True), ([0, 500], False), ([], False), ([UNKNOWN, 7], False), ([5, 5], False)],
)
def test_an_axis_is_logarithmic_where_the_range_is_wide_and_above_zero(values, logarithmic):
    scale = value_scale(values, 100, 0)
    assert scale.logarithmic is logarithmic
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 8
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    places = [scale(tick) for tick in ticks]
    assert places == sorted(places, reverse=True)


@pytest.mark.parametrize("length", [timedelta(minutes=20), timedelta(hours=7), timedelta(days=3), timedelta(days=60)])
def test_moments_of_the_axis_are_round_and_few(length):
    start = NOON + timedelta(minutes=3, seconds=17)
    ticks = TimeScale(start, start + length, 0, 100).ticks()
    assert 2 <= len(ticks) <= 9
    assert all(start <= moment <= start + length and moment.second == 0 for moment, _ in ticks)
    assert len({b[0] - a[0] for a, b in pairwise(ticks)}) == 1


def test_midnight_is_told_by_its_day():
    start = datetime(2026, 3, 9, 20, tzinfo=UTC)
    labels = [label for _, label in TimeScale(start, start + timedelta(hours=8), 0, 100).ticks()]
    assert "10 Mar" in labels
    assert "22:00" in labels


def test_a_silence_is_a_gap_in_the_history():
    whole, parted = [1e3] * 20, [1e3] * 8 + [None] * 6 + [1e3] * 6
    assert len(of_class(chart(whole), "chart-line")) == 1
    assert len(of_class(chart(parted), "chart-line")) == 2


def test_the_line_turns_bad_where_the_incident_begins_and_does_not_break():
    picture = chart([1e3] * 5 + [9e3] * 5, bad_from=5, span=(NOON + STEP * 5, NOON + STEP * 10))
    good, bad = of_class(picture, "chart-line")
    assert (good.get("class"), bad.get("class")) == ("chart-line good", "chart-line bad")
    assert good.get("d").split("L")[-1] == bad.get("d").removeprefix("M").split("L")[0]
    (span,) = of_class(picture, "chart-span")
    assert float(span.get("x")) == pytest.approx((62 + 790) / 2)


def test_the_word_at_the_end_of_the_axis_is_whole():
    ends = [
        float(label.get("x")) + (24 if label.get("text-anchor") == "middle" else 0)
        for label in of_class(chart([1e3] * 12), "chart-label")
        if float(label.get("y")) > 270
    ]
    assert max(ends) == 800


def test_the_words_of_many_marks_cover_no_other_mark():
    moments = [NOON + STEP * place for place in (2, 10, 10.5, 11, 30, 36, 50, 57, 58, 59.9)]
    picture = chart([1e3] * 60, marks=[(moment, "plan 0123abcd") for moment in moments])
    marks = [float(line.get("x1")) for line in of_class(picture, "chart-mark")]
    labels = of_class(picture, "chart-mark-label")
    assert 4 <= len(labels) < len(marks)
    for label in labels:
        x, is_left = float(label.get("x")), label.get("text-anchor") == "end"
        low, high = (x - 88, x) if is_left else (x, x + 88)
        assert not [mark for mark in marks if low < mark < high]
        assert low >= 62 or not is_left


def test_marks_outside_the_time_are_left_out_and_of_crowded_ones_one_has_its_word():
    marks = [(NOON - STEP, "early"), (NOON + STEP, "one"), (NOON + STEP * 1.1, "two"), (NOON + STEP * 9, "three")]
    picture = chart([1e3] * 10, marks=marks)
    assert len(of_class(picture, "chart-mark")) == 3
    assert [label.text for label in of_class(picture, "chart-mark-label")] == ["two", "three"]


def test_a_history_names_its_unit_and_its_scale():
    wide = " ".join(drawn(chart([1e3, 1e6])).itertext())
    assert "time, logarithmic" in wide
    assert "UTC" in wide
    assert "100 ms" in wide


def test_unknown_values_leave_a_history_whole():
    assert len(of_class(chart([1e3, UNKNOWN, 2e3]), "chart-dot")) == 2
    assert of_class(chart([]), "chart-line") == []


@pytest.mark.parametrize(("value", "width"), [(50, 60), (0, 0), (200, 120), (UNKNOWN, 0), (0.01, 2)])
def test_a_bar_is_as_long_as_its_share(value, width):
    (filled,) = of_class(bar(value, 100), "bar-fill")
    assert float(filled.get("width")) == width
