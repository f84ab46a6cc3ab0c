"""The report of a back-test: foreign names are text, and parts without figures are left out."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.reports.backtest_page import MOST_ROWS, backtest_page
from dbplanmon_pipeline.services.backtest import BacktestReport
from dbplanmon_pipeline.services.backtest_comparison import compare
from dbplanmon_pipeline.services.backtest_curves import AFTER, LONGEST, Curves, curve_of
from dbplanmon_pipeline.services.backtested import Backtested, Side
from dbplanmon_pipeline_tests.services.notifications import notification

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
EVENING = NOON + timedelta(hours=8)
STEP = timedelta(minutes=5)
HOSTILE = '</style><script>alert("x")</script>\u202e'


def frame(instance="shop", database="db0", days=6):
    """A statement every five minutes, ten times dearer and with another plan from noon on; and one beside it."""
    ends = epoch_us(NOON - timedelta(days=2)) + np.arange(1, days * 288) * 300_000_000
    late = ends > epoch_us(NOON)
    parts = [
        {
            "database_id": 1,
            "query_hash": query,
            "plan_hash": np.where(late, 88, 77) if query == 1 else 5,
            "interval_start_us": ends - 300_000_000,
            "interval_end_us": ends,
            "execution_count": 10.0,
            "elapsed_time_us": 10 * np.where(late & (query == 1), 10_000.0, 1000.0),
        }
        for query in (1, 2)
    ]
    return IntervalFrame(pd.concat(map(pd.DataFrame, parts), ignore_index=True), {1: DatabaseRef(instance, database)})


def report_of(*notifications):
    return BacktestReport(notifications, 1000, NOON - timedelta(days=1), NOON + timedelta(days=1), 500)


def said(query=1, after=3, ended=None, **facts):
    began = {"began_at": NOON} if "began_at" not in facts else {}
    return notification(NOON + after * STEP, query, ended_at=ended, **began, **facts)


class Tags(HTMLParser):
    """Tags of a page, and the text within its style."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_curve_shows_the_time_before_and_since_with_the_plans():
    curve = curve_of(frame(), said(ended=NOON + timedelta(hours=2)))
    assert curve.start == NOON - timedelta(hours=6)
    assert curve.end == NOON + timedelta(hours=2) + AFTER
    before = curve.end_us <= epoch_us(NOON)
    assert np.allclose(curve.values[before], 1000)
    assert np.allclose(curve.values[~before], 10_000)
    assert set(curve.plan_hash[~before].tolist()) == {88}
    assert len(curve.values) <= 201


def test_curve_of_a_long_trouble_is_cut_and_that_of_an_instance_adds_up():
    curve = curve_of(frame(), said(began_at=NOON - timedelta(days=1)))
    assert curve.end <= NOON + LONGEST + timedelta(days=1)
    whole = curve_of(frame(), said(0, ended=NOON + timedelta(hours=1)))
    hour_before = (10 * 1000.0 * 2 * 12) / 1e6
    assert whole.values[0] == pytest.approx(hour_before)
    assert whole.values[-1] == pytest.approx((10 * 11_000.0 * 12) / 1e6)


def test_only_the_dearest_are_kept():
    curves = Curves(1, 2)
    told = [said(after=n, extra_seconds_per_hour=float(n)) for n in (3, 9, 5, 7)]
    curves.see(frame(), [told])
    assert [curve.notification.incident.extra_seconds_per_hour for curve in curves.of(0)] == [9.0, 7.0]


def page_of(report, other=None, shop=frame):
    curves = Curves(2, 5)
    curves.see(shop(), [report.notifications, other.notifications if other else ()])
    main = Side({"analysis.lookback": "12h"}, report, None, tuple(curves.of(0)))
    if other is None:
        return backtest_page(Backtested(main), source="rows.parquet")
    against = Side({"analysis.lookback": "2d"}, other, None, tuple(curves.of(1)))
    return backtest_page(Backtested(main, against, compare(report, other)), source="rows.parquet", against=HOSTILE)


def test_foreign_names_are_shown_as_text():
    names = {"instance": HOSTILE, "database": HOSTILE}
    report = report_of(said(evidence=(HOSTILE,), **names))
    page = page_of(report, report_of(said(2, **names)), lambda: frame(HOSTILE, HOSTILE))
    tags = Tags(page)
    assert "script" not in tags.tags
    assert tags.open == []
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;") >= 4


def test_both_settings_have_their_bars_and_what_differs():
    page = page_of(report_of(said(ended=EVENING), said(2, after=4)), report_of(said(after=60)))
    assert "Both tell of 1 troubles" in page
    assert "4 h 45 min later" in page
    assert 'class="day-bar side0"' in page
    assert 'class="day-bar side1"' in page
    assert "alert, other settings" in page
    assert "alert, plan 00000000" in page
    assert "<td>12h</td><td>2d</td>" in page


def test_a_report_without_alerts_says_so():
    page = page_of(report_of())
    assert "<p>Nothing.</p>" in page
    assert "The dearest of it" not in page
    short = backtest_page(Backtested(Side({}, BacktestReport((), 12, None, None, 0))), source="rows.parquet")
    assert "12 intervals are too few" in short


def test_a_long_list_is_cut_and_says_so():
    many = [said(after=n) for n in range(MOST_ROWS + 5)]
    page = page_of(report_of(*many))
    assert "... and 5 more; the CSV has all." in page
