from datetime import UTC, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.core.verdict.policy import DEFAULT_SCALES
from dbplanmon_pipeline.settings.sections import AnalysisSettings, CollectionSettings
from dbplanmon_pipeline.settings.suggest import did_you_mean, nearest
from dbplanmon_pipeline.settings.values import format_clock, format_duration, parse_clock, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("60m", timedelta(hours=1)),
        ("1h30m", timedelta(minutes=90)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
        ("7y", timedelta(days=2555)),
        (" 0s ", timedelta()),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "value", ["", "5", 5, 5.0, True, None, "5 m", "-5m", "5mm", "m", "1.5h", "five", "٥m", [], "5M"]
)
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(ValueError, match=r"expected a duration such as 30s, 5m, 4h or 90d"):
        parse_duration(value)


def test_a_duration_beyond_what_can_be_held_is_refused():
    with pytest.raises(ValueError, match="too long"):
        parse_duration("999999999999999y")


@given(st.integers(0, 10**12).map(lambda count: timedelta(milliseconds=count)))
def test_a_written_duration_reads_back_the_same(value):
    assert parse_duration(format_duration(value)) == value


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_written_time_reads_back_the_same_in_utc(hour, minute):
    value = time(hour, minute, tzinfo=UTC)

    assert parse_clock(format_clock(value)) == value


@pytest.mark.parametrize("value", ["24:00", "2", "02:60", "02:00:00", "2am", 120, None])
def test_what_is_no_time_of_day_is_refused(value):
    with pytest.raises(ValueError, match="expected a time of day in UTC"):
        parse_clock(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("topn", "top_n"), ("TOP-N", "top_n"), ("max_worker", "max_workers"), ("max", "max_workers"), ("zzz", "")],
)
def test_the_nearest_name_forgives_small_slips(name, expected):
    assert nearest(name, ["top_n", "max_workers"]) == expected


def test_without_a_near_name_a_short_list_is_shown_and_a_long_one_is_not():
    assert did_you_mean("zzz", ["a", "b"]) == "; known: a, b"
    assert did_you_mean("zzz", [str(number) for number in range(50)]) == ""


def test_the_longest_window_of_the_rule_fits_into_the_default_lookback():
    assert AnalysisSettings().lookback >= CollectionSettings().interval * DEFAULT_SCALES[-1].intervals
