"""`dbplanmon backtest` as it is called: sources, files, two settings, labels, and what is said of mistakes."""

import csv
import json
import re
import shutil
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.backtest_records import COLUMNS
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline_tests.services.recorded_trouble import (
    BEGIN,
    DAYS,
    FIRST,
    SETTINGS,
    Collector,
    recorded,
    write_parquet,
)

TROUBLED = [2, 3]
"""Statements of the record that surely get an alert: one of depot, one of shop with a new plan."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_parquet(recorded(), tmp_path_factory.mktemp("record") / "rows.parquet")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store with the same rows; the first day lies in the archive."""
    folder = tmp_path_factory.mktemp("stored")
    store = open_store(f"sqlite:///{folder}/store.db", clock=lambda: BEGIN + timedelta(days=DAYS))
    store.upgrade()
    collector = Collector(store, recorded())
    collector.record(FIRST)
    collector.record(BEGIN + timedelta(days=DAYS + 1))
    store.seal_day(BEGIN.date())
    store.close()
    return folder


@pytest.fixture
def run(cli):
    cli.settings.write_text(SETTINGS)
    return cli


def rows_of(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_alerts_are_written_in_the_columns_that_programs_read(run, file, tmp_path):
    document = run.json("backtest", str(file), "--alerts", str(tmp_path / "alerts.csv"))
    rows = rows_of(tmp_path / "alerts.csv")
    assert tuple(rows[0]) == COLUMNS
    assert document["alerts"] == len(rows) > 4
    assert {int(row["query_hash"], 16) for row in rows if row["query_hash"]} >= set(TROUBLED)
    assert {row["scope"] for row in rows} == {"query", "instance"}
    (slow,) = [row for row in rows if row["scope"] == "instance"]
    assert (slow["instance"], slow["database"], slow["query_hash"]) == ("depot", "", "")
    assert [row["raised_at"] for row in rows] == sorted(row["raised_at"] for row in rows)
    assert (document["first"], document["score"], document["against"], document["comparison"]) == (
        FIRST.isoformat(),
        None,
        None,
        None,
    )


def test_the_store_with_its_archive_says_the_same_as_a_file(run, file, stored, tmp_path):
    shutil.copytree(stored, run.folder / ".dbplanmon", dirs_exist_ok=True)
    of_file = run.json("backtest", str(file), "--alerts", str(tmp_path / "file.csv"))
    of_store = run.json("backtest", "--store", "--alerts", str(tmp_path / "store.csv"))
    assert of_store == of_file
    assert (tmp_path / "store.csv").read_text() == (tmp_path / "file.csv").read_text()


def test_a_part_of_the_record_can_be_chosen(run, file, tmp_path):
    noon = FIRST + timedelta(hours=36)
    document = run.json(
        "backtest", str(file), "--alerts", str(tmp_path / "a.csv"), "--from", (FIRST + timedelta(days=1)).isoformat(),
        "--to", noon.isoformat(), "--instance", "shop", "--database", "db0",
    )  # fmt: skip
    rows = rows_of(tmp_path / "a.csv")
    assert {(row["instance"], row["database"]) for row in rows} == {("shop", "db0")}
    assert document["first"] == (FIRST + timedelta(days=1)).isoformat()
    assert document["last"] <= noon.isoformat()


def test_a_short_record_is_only_learnt_from(run, file):
    result = run("backtest", str(file), "--to", (BEGIN + timedelta(days=1)).isoformat())
    assert result.exit_code == 0
    assert "intervals are too few: as many days as a baseline learns from come first" in result.output


def test_two_settings_are_set_side_by_side(run, file, tmp_path):
    stricter = tmp_path / "stricter.yaml"
    stricter.write_text(SETTINGS.replace("min_extra_seconds_per_hour: 0.1", "min_extra_seconds_per_hour: 100"))
    options = ("backtest", str(file), "--against", str(stricter))
    document = run.json(*options)
    compared = document["comparison"]
    assert document["against"]["settings"] == str(stricter)
    assert 0 < document["against"]["alerts"] < document["alerts"]
    assert len(compared["only_settings"]) + len(compared["both"]) == document["alerts"]
    assert compared["only_against"] == []
    assert all(set(pair["settings"]) == set(COLUMNS) and pair["delay_seconds"] >= 0 for pair in compared["both"])
    text = run(*options).output
    assert f"both tell of {len(compared['both'])} troubles" in text
    assert f"alerts only here: {len(compared['only_settings'])}; only there: 0" in text


def test_two_detectors_can_be_set_against_each_other(run, file):
    document = run.json("backtest", str(file), "--detector", "threshold", "--against", str(run.settings))
    assert document["against"]["alerts"] == run.json("backtest", str(file))["alerts"] != document["alerts"]
    (slow,) = [one for one in document["comparison"]["only_against"] if one["scope"] == "instance"]
    assert slow["instance"] == "depot"


def labels(tmp_path):
    """Two of the troubles of the record, one that is none, and one that nobody can find."""
    rows = ["instance,database,query_hash,start,end,kind,is_regression,scope"]
    depot = FIRST + timedelta(hours=2)
    rows.append(f"depot,,{hash_text(2)},{depot.isoformat()},,new plan,true,")
    rows.append(f"shop,db0,{hash_text(3)},{(FIRST + timedelta(hours=4)).isoformat()},,new plan,true,")
    rows.append(f"shop,db0,{hash_text(5)},{FIRST.isoformat()},,report,false,")
    rows.append(f"shop,db1,{hash_text(8)},{FIRST.isoformat()},,batch,true,")
    rows.append(f"depot,,,{(FIRST + timedelta(hours=33)).isoformat()},,disk,,instance")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "labels.csv"


def test_labels_tell_how_good_the_alerts_are(run, file, tmp_path):
    options = ("backtest", str(file), "--labels", str(labels(tmp_path)))
    found = run.json(*options)["score"]
    assert (found["hits"], found["duplicates"]) == (2, 1)
    assert found["false_by_kind"]["report"] == 1
    assert found["by_kind"]["new plan"]["recall"] == 1.0
    assert (found["instances"]["events"], found["instances"]["found"], found["false_instances"]) == (1, 1, 0)
    shop = run.json(*options, "--instance", "shop")["score"]
    assert (shop["hits"], shop["regressions"]["events"], shop["instances"]["events"]) == (1, 2, 0)
    text = run(*options).output
    assert "With these settings" in text
    assert re.search(r"slow instances +1 +1 +1\.000", text)


def test_the_report_is_one_file_that_loads_nothing(run, file, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(SETTINGS.replace("lookback: 12h", "detector: threshold"))
    page = tmp_path / "report.html"
    result = run("backtest", str(file), "--html", str(page), "--labels", str(labels(tmp_path)), "--against", str(other))
    assert result.exit_code == 0
    html = page.read_text("utf-8")
    assert f"<title>Back-test of {file}</title>" in html
    assert "prefers-color-scheme: dark" in html
    assert html.count('<svg class="chart"') > 4
    assert "Against the labels: these settings" in html
    assert "analysis.detector" in html
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", html)
    assert str(page) in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "name METRICS, a Parquet file or a folder of them, or --store; one of the two"),
        (("FILE", "--store"), "name METRICS, a Parquet file or a folder of them, or --store; one of the two"),
        (("FILE", "--from", "2026-03-05", "--to", "2026-03-04"), "--from is later than --to"),
        (("FILE", "--alerts", "nowhere/alerts.csv"), "nowhere is no folder; make it first"),
        (("none.parquet",), "does not exist"),
        (("FILE", "--from", "soon"), "'soon' is no moment"),
    ],
    ids=["no source", "two sources", "order", "folder", "no file", "moment"],
)
def test_a_wrong_call_is_a_usage_error(run, file, arguments, complaint):
    result = run("backtest", *(str(file) if one == "FILE" else one for one in arguments))
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())


def test_a_file_that_is_no_record_and_labels_that_are_none_are_one_line(run, file, tmp_path):
    (tmp_path / "rows.parquet").write_text("nothing")
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    for arguments in ((str(tmp_path / "rows.parquet"),), (str(file), "--labels", str(tmp_path / "labels.csv"))):
        result = run("backtest", *arguments)
        assert result.exit_code == 1
        assert re.fullmatch(r"dbplanmon: [^\n]+\n", result.stderr)


def test_an_empty_store_is_no_reason_to_make_one(run):
    result = run("backtest", "--store")
    assert result.exit_code == 1
    assert "dbplanmon store upgrade" in result.stderr
    assert json.dumps([path.name for path in (run.folder / ".dbplanmon").glob("*.db")]) == "[]"
