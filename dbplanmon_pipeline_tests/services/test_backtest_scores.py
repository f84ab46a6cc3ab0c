"""Alerts against labels: by hand on small cases, and against the public scorer of a labelled record."""

import importlib.util
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.backtest_records import COLUMNS, alert_cells
from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.known_events import KnownEvent
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.services.backtest import BacktestReport
from dbplanmon_pipeline.services.backtest_scores import SIZES, Activity, Found, score
from dbplanmon_pipeline.store.recorded.labels import read_labels
from dbplanmon_pipeline_tests.services.notifications import notification

BENCH = Path(__file__).resolve().parents[3] / "shared" / "bench" / "detection" / "bench.py"
STEP = timedelta(minutes=5)
BEGIN = datetime(2025, 1, 6, tzinfo=UTC)
FIRST = BEGIN + timedelta(days=7)
DAY = 288
NOTHING = Found(0, 0, None, None, None)


def at(tick):
    """End of an interval by its number since the first judged moment."""
    return FIRST + (tick + 1) * STEP


def frame_of(ends_by_query, instance="sim-0", database="app"):
    """Rows of statements that ran in intervals with these numbers since the first judged moment."""
    parts = [
        pd.DataFrame(
            {
                "database_id": 1,
                "query_hash": query,
                "interval_end_us": epoch_us(FIRST) + (np.array(sorted(ticks)) + 1) * 300_000_000,
                "execution_count": 5.0,
            }
        )
        for query, ticks in sorted(ends_by_query.items())
    ]
    return IntervalFrame(pd.concat(parts, ignore_index=True), {1: DatabaseRef(instance, database)})


def event(query, first, end, **more):
    facts = {"scope": IncidentScope.QUERY, "instance": "sim-0", "database": "app", "kind": "plan"} | more
    return KnownEvent(query_hash=query, start=FIRST + first * STEP, end=FIRST + end * STEP, **facts)


def scored(alerts, events, ran=None):
    activity = Activity(events)
    activity.see(frame_of(ran or {query: range(DAY) for query in (1, 2, 3, 4)}), [[]])
    told = tuple(notification(at(tick), query, instance="sim-0", database="app") for tick, query in alerts)
    return scored_told(told, activity, events)


def scored_told(notifications, activity, events):
    report = BacktestReport(notifications, 1, FIRST, FIRST + timedelta(days=1), DAY)
    return score(report, events, activity, STEP)


class TestByHand:
    def test_first_alert_on_an_event_is_a_hit_and_further_ones_are_repeated(self):
        found = scored([(12, 1), (20, 1), (30, 2)], [event(1, 10, 50), event(2, 100, 120)])
        assert (found.hits, found.duplicates, found.false_alerts) == (1, 1, 1)
        assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
        assert (found.regressions.delay_median, found.regressions.delay_p90) == (2.0, 2.0)
        assert found.false_by_kind == {"unlabelled": 1}

    @pytest.mark.parametrize(("tick", "hits"), [(9, 0), (10, 1), (19, 1), (31, 1), (32, 0)])
    def test_an_alert_counts_from_the_beginning_until_an_hour_after_the_end(self, tick, hits):
        assert scored([(tick, 1)], [event(1, 10, 20)]).hits == hits

    def test_delay_counts_from_the_first_bad_interval_with_executions(self):
        ran = {1: [0, 1, 15, 16, 17, 18]}
        found = scored([(17, 1)], [event(1, 10, 20)], ran)
        assert found.regressions.delay_median == 2.0
        assert found.statements == 1

    def test_events_that_nobody_could_see_are_left_out(self):
        ran = {1: [0, 1, 30], 2: range(50)}
        found = scored([], [event(1, 10, 20), event(2, -20, 30)], ran)
        assert (found.regressions.events, found.recall, found.precision, found.f1) == (0, None, None, None)

    def test_neutral_and_harmless_events(self):
        events = [
            event(1, 10, 20, is_regression=False, is_neutral=True),
            event(2, 10, 20, is_regression=False, kind="spike"),
        ]
        found = scored([(12, 1), (12, 2)], events)
        assert (found.hits, found.neutral, found.false_alerts) == (0, 1, 1)
        assert found.false_by_kind == {"spike": 1}
        assert found.by_kind == {}

    def test_false_alerts_are_told_per_thousand_statements_and_day(self):
        found = scored([(12, 1), (13, 2)], [])
        assert found.days == 1.0
        assert found.false_per_1000_statements_and_day == pytest.approx(2 / 4 * 1000)

    def test_what_is_worth_a_message_leaves_small_events_out_of_both(self):
        events = [
            event(1, 10, 50, magnitude=5.0, extra_seconds_per_hour=20.0),
            event(2, 10, 50, magnitude=5.0, extra_seconds_per_hour=0.1),
            event(3, 10, 12, magnitude=2.0, extra_seconds_per_hour=20.0),
            event(4, 10, 50, magnitude=1.2, extra_seconds_per_hour=2.0),
        ]
        found = scored([(12, 1), (12, 2), (11, 3), (60, 4)], events)
        assert (found.worth.events, found.worth.found) == (1, 1)
        assert (found.worth_precision, found.precision) == (1.0, 1.0)
        assert (found.material.events, found.material_large.events) == (2, 2)
        assert {name: one.events for name, one in found.by_size.items()} == {
            "below 1.5x": 1,
            "2x to 5x": 1,
            "5x to 20x": 2,
        }

    def test_a_label_without_a_database_means_any(self):
        assert scored([(12, 1)], [event(1, 10, 20, database="")]).hits == 1

    def test_what_a_label_does_not_tell_is_taken_for_enough(self):
        found = scored([(12, 1)], [event(1, 10, 20)])
        assert (found.worth.events, found.worth_f1) == (1, 1.0)
        assert list(found.by_size) == ["unknown"]

    def test_slow_instances_are_counted_apart(self):
        slow = event(0, 10, 20, scope=IncidentScope.INSTANCE, database="", kind="restart")
        early = event(0, -30, -20, scope=IncidentScope.INSTANCE, database="", kind="restart")
        later = event(0, DAY, DAY + 9, scope=IncidentScope.INSTANCE, database="", kind="restart")
        found = scored([(11, 0), (100, 0), (12, 1)], [slow, early, later])
        assert (found.instances.events, found.instances.found, found.false_instances) == (1, 1, 1)
        assert found.instances.delay_median == 1.0
        assert (found.hits, found.false_alerts) == (0, 1)

    def test_slow_databases_are_counted_with_the_instances(self):
        def slow(tick, database):
            facts = {"scope": IncidentScope.DATABASE, "database": database}
            one = notification(at(tick), 0, instance="sim-0")
            return replace(one, incident=replace(one.incident, **facts))

        events = [
            event(0, 10, 20, scope=IncidentScope.DATABASE, kind="locks"),
            event(0, 100, 120, scope=IncidentScope.INSTANCE, database="", kind="disk"),
        ]
        told = (slow(12, "app"), slow(13, "other"), slow(105, "other"), slow(200, "app"))
        found = scored_told(told, Activity(events), events)
        assert (found.instances.events, found.instances.found, found.false_instances) == (2, 2, 2)
        assert (found.hits, found.false_alerts) == (0, 0)


def labelled_record(folder, seed):
    """A small record with labels by number, and random alerts on it: right ones, late ones, repeated and wrong ones."""
    rng = np.random.default_rng(seed)
    days, queries = 9, 40
    activity = {q: np.flatnonzero(rng.random(days * DAY) < rng.choice([1.0, 0.6, 0.05])) for q in range(1, queries + 1)}
    kinds = ["plan_regress", "noplan_regress", "recover", "spike", "drift", "exec_growth"]
    labels = []
    for query in range(1, queries + 1, 2):
        kind = str(rng.choice(kinds))
        onset = 0 if kind == "drift" else int(rng.integers(7 * DAY + 20, days * DAY - 60))
        end = days * DAY if kind == "drift" else min(onset + int(rng.integers(1, 200)), days * DAY)
        true, neutral = kind in kinds[:3], kind == "drift"
        magnitude, extra = float(rng.choice([1.2, 1.5, 2.0, 5.0, 20.0])), float(rng.choice([2e5, 5e6, 3e7]))
        labels.append(("query", query % 2, query, kind, magnitude, onset, end, true, neutral, extra * true))
    for instance, onset in ((0, 7 * DAY + 100), (1, 8 * DAY + 10), (1, 100)):
        labels.append(("instance", instance, -1, "restart", 2.0, onset, onset + 24, False, False, 0.0))
    names = ["scope", "instance_id", "query_id", "kind", "magnitude", "onset_t", "end_t"]
    names += ["true_regression", "neutral", "extra_us_per_hour"]
    table = pd.DataFrame(labels, columns=names)
    table.insert(0, "event_id", range(len(table)))
    within = [
        activity[q][(activity[q] >= a) & (activity[q] < b)] if q > 0 else np.array([a, b - 1])
        for q, a, b in zip(table.query_id, table.onset_t, table.end_t, strict=True)
    ]
    table["first_bad_t"] = [int(found[0]) if len(found) else -1 for found in within]
    table["bad_intervals"] = [len(found) for found in within]
    table["family"] = "stable"
    table.to_parquet(folder / "labels.parquet")
    pd.DataFrame({"query_id": range(1, queries + 1), "family": "stable"}).to_parquet(folder / "queries.parquet")
    (folder / "meta.json").write_text(json.dumps({"days": days}))
    return activity, table, days


def random_alerts(rng, activity, table, days):
    alerts = []
    for one in table.itertuples():
        if one.scope == "query" and one.first_bad_t >= 0 and rng.random() < 0.8:
            ran = activity[one.query_id]
            ran = ran[(ran >= max(one.first_bad_t, 7 * DAY)) & (ran < one.end_t + 20)]
            alerts += [(int(tick), one.query_id) for tick in rng.choice(ran, min(len(ran), 2), replace=False)]
        if one.scope == "instance" and rng.random() < 0.7:
            alerts.append((one.onset_t + int(rng.integers(0, 40)), -1 - one.instance_id))
    alerts += [(int(rng.integers(6 * DAY, days * DAY)), int(rng.integers(1, 41))) for _ in range(15)]
    alerts.append((7 * DAY - 1, 5))
    return sorted(alerts)


@pytest.mark.skipif(not BENCH.exists(), reason="../shared/bench/detection is not here")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_the_public_scorer(tmp_path, seed):
    spec = importlib.util.spec_from_file_location("labelled_bench", BENCH)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    activity, table, days = labelled_record(tmp_path, seed)
    last = BEGIN + timedelta(days=days)
    notifications = []
    for tick, query in random_alerts(np.random.default_rng(seed), activity, table, days):
        moment = BEGIN + (tick + 1) * STEP
        if FIRST <= moment <= last:
            place = f"sim-{-1 - query if query < 0 else query % 2}"
            notifications.append(notification(moment, max(query, 0), instance=place, database="app"))
    rows = [",".join(COLUMNS), *(",".join(alert_cells(one.raised_at, one.incident)) for one in notifications)]
    (tmp_path / "alerts.csv").write_text("\n".join(rows) + "\n")
    theirs = bench.score(str(tmp_path), bench.from_house(tmp_path / "alerts.csv"))

    events = read_labels(tmp_path / "labels.parquet", BEGIN)
    seen = Activity(events)
    for instance in (0, 1):
        ran = {query: ticks - 7 * DAY for query, ticks in activity.items() if query % 2 == instance}
        seen.see(frame_of(ran, f"sim-{instance}"), [[]])
    ours = score(BacktestReport(tuple(notifications), 1, FIRST, last, 1), events, seen, STEP)
    assert theirs["tp"] > 2
    assert theirs["fp"] > 2
    expected = {
        "tp": ours.hits,
        "events": ours.regressions.events,
        "fp": ours.false_alerts,
        "dup": ours.duplicates,
        "neutral": ours.neutral,
        "precision": ours.precision,
        "recall": ours.recall,
        "f1": ours.f1,
        "delay_median": ours.regressions.delay_median,
        "delay_p90": ours.regressions.delay_p90,
        "false_per_1000q_day": ours.false_per_1000_statements_and_day,
        "recall_material": ours.material.recall,
        "material_events": ours.material.events,
        "headline_precision": ours.worth_precision,
        "headline_recall_ge1.5": ours.worth.recall,
        "headline_events": ours.worth.events,
        "headline_f1": ours.worth_f1,
        "delay_material_ge2_median": ours.material_large.delay_median,
        "delay_material_ge2_p90": ours.material_large.delay_p90,
        "instance_events": ours.instances.events,
        "instance_recall": ours.instances.recall,
        "instance_fp": ours.false_instances,
    }
    for magnitude, (_, name) in zip(bench.MAGS, SIZES, strict=True):
        size = ours.by_size.get(name, NOTHING)
        expected |= {f"recall_{magnitude}x": size.recall or 0, f"delay_{magnitude}x": size.delay_median}
    expected |= {f"recall_{kind}": found.recall for kind, found in ours.by_kind.items()}
    assert {name: theirs[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert not math.isnan(theirs["delay_median"])
