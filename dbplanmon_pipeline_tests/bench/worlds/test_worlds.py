import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.services.backtest import Notification
from dbplanmon_pipeline.store.recorded.files import RecordedIntervals
from dbplanmon_pipeline_tests.bench.bench_worlds import main
from dbplanmon_pipeline_tests.bench.worlds.catalog import RECIPES, make_world
from dbplanmon_pipeline_tests.bench.worlds.clock import EPOCH, STEP, STEP_US, WEEK
from dbplanmon_pipeline_tests.bench.worlds.collecting import in_steps, with_gaps
from dbplanmon_pipeline_tests.bench.worlds.files import write_labelled
from dbplanmon_pipeline_tests.bench.worlds.scoring import score
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

METRICS = ("elapsed_time_us", "worker_time_us")


@pytest.mark.parametrize("name", RECIPES)
def test_a_world_holds_what_an_engine_could_have_told(name):
    world = make_world(name, seed=3, statements=6)
    rows = world.frame.rows
    for metric in METRICS:
        assert (rows[f"{metric}_max"] <= rows[metric] * (1 + 1e-9)).all()
        assert (rows[f"{metric}_sumsq"] * rows["execution_count"] >= rows[metric] ** 2 * (1 - 1e-9)).all()
    assert (rows["worker_time_us"] <= rows["elapsed_time_us"]).all()
    assert (rows["interval_start_us"] < rows["interval_end_us"]).all()
    assert rows.drop(columns=["database_id"]).equals(
        make_world(name, seed=3, statements=6).frame.rows.drop(columns=["database_id"])
    )
    true = world.labels[world.labels["true_regression"]]
    assert (true["magnitude"] > 1.05).all()
    assert (true["onset_t"] >= WEEK).all()


def test_costs_rise_by_what_the_label_says():
    world = make_world("pareto", seed=5, statements=30)
    label = world.labels[world.labels["true_regression"]].nlargest(1, "magnitude").iloc[0]
    rows = world.frame.rows[world.frame.rows["query_hash"] == label["query_id"]]
    tick = (rows["interval_end_us"] - rows["interval_end_us"].min()) // STEP_US
    inside = (tick >= label["onset_t"]) & (tick < label["end_t"])
    dearest = max(cost(rows[inside], metric) / cost(rows[tick < WEEK], metric) for metric in METRICS)
    assert dearest == pytest.approx(label["magnitude"], rel=0.4)


def cost(rows, metric):
    return rows[metric].sum() / rows["execution_count"].sum()


def test_what_ran_in_a_gap_lands_in_the_next_reading_unless_a_restart_loses_it():
    found = with_gaps(np.random.default_rng(2), 2000, 10.0, 3.0)
    number, kept = np.arange(2000), found.lands >= 0
    assert (found.lands[kept] >= number[kept]).all()
    assert (found.lands[kept] > number[kept]).any()
    assert not kept.all()
    assert (found.since[found.lands[kept]] <= number[kept]).all()


def test_hours_are_seen_once():
    found = in_steps(24, 12)
    assert found.lands.tolist() == [11] * 12 + [23] * 12
    assert found.since.tolist() == [0] * 12 + [12] * 12


def said(tick, query):
    incident = replace(PLAN_REGRESSION, instance="sim-0", database="db0", query_hash=query)
    return Notification(EPOCH + (tick + 1) * STEP, incident)


def test_alerts_are_scored_against_what_happened():
    world = make_world("gamma", seed=1, statements=24)
    labels = world.labels
    true = labels[labels["true_regression"] & (labels["extra_us_per_hour"] > 1e6) & (labels["magnitude"] >= 1.5)]
    quiet = next(one.number for one in world.statements if one.number not in set(labels["query_id"]))
    nothing = score(world, [])
    assert (nothing.events, nothing.found, nothing.recall, nothing.f1) == (len(true), 0, 0, 0)
    told = [said(one.first_bad_t + 2, one.query_id) for one in true.itertuples()]
    all_found = score(world, told)
    assert (all_found.f1, all_found.false.total(), set(all_found.delays)) == (1, 0, {2})
    twice = score(world, [*told, *told, said(WEEK + 5, quiet), said(5, quiet)])
    assert twice.false == {"quiet": 1}
    assert twice.precision == len(true) / (len(true) + 1)
    assert twice.false_rate == pytest.approx(1 / (24 * 7 / 1000))


def test_a_world_as_files_is_read_by_the_back_test(tmp_path):
    world = make_world("databases", seed=1, statements=4)
    write_labelled(world, tmp_path)
    source = RecordedIntervals(tmp_path / "interval_metrics.parquet")
    (frame,) = source.frames([tuple(source.databases())])
    assert len(frame.rows) == len(world.frame.rows)
    assert frame.rows["elapsed_time_us"].sum() == pytest.approx(world.frame.rows["elapsed_time_us"].sum())
    assert set(frame.databases.values()) <= set(world.frame.databases.values())
    assert len(pd.read_parquet(tmp_path / "labels.parquet")) == len(world.labels)
    assert json.loads((tmp_path / "meta.json").read_text())["days"] == 14


def test_worlds_are_replayed_from_the_command_line(capsys):
    main(["quiet", "--statements", "3", "--tell"])
    assert capsys.readouterr().out.startswith("quiet      seed 1: F1 ")
    with pytest.raises(SystemExit):
        main(["nowhere"])
    assert "no world is called nowhere" in capsys.readouterr().err
