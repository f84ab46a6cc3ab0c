"""Growth of the workload on the pages, in their JSON and in the ranking and the summary of the command line."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from dbplanmon_pipeline.cli import dbplanmon
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.services.rank_hotspots import rank_hotspots
from dbplanmon_pipeline_tests.services.mornings import BEGIN, END, HOUR, fault, write_mornings
from dbplanmon_pipeline_tests.services.stories import REF, victim
from dbplanmon_pipeline_tests.web.pages.site import serving

HASH = hash_text(victim().query_hash)
PLACE = f"{REF.instance}/{REF.database}/{HASH}"


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """The hour in which one statement ran nine times as often."""
    past = tmp_path_factory.mktemp("grown") / "past"
    past.mkdir()
    write_mornings(past, fault("more_executions", victim().statement))
    with serving(tmp_path_factory.mktemp("site"), past=past) as site:
        site.clock.moment = END + timedelta(minutes=1)
        rank_hotspots(site.store, window=HOUR, top_n=10)
        yield site


@pytest.fixture(scope="module")
def bearer(busy):
    return busy.bearer()


@pytest.fixture
def ran(busy):
    """A command with the settings of the site, as JSON."""
    folder = busy.store.url.removeprefix("sqlite:///").rpartition("/")[0]
    return lambda *command: json.loads(
        CliRunner().invoke(dbplanmon, ["--config", f"{folder}/dbplanmon.yaml", *command, "--json"]).stdout
    )


def only(records):
    (found,) = [record for record in records if record["query_hash"] == HASH]
    return found


def test_hotspots_say_why_a_statement_grew(busy, bearer):
    page = busy.get("/hotspots").text
    assert "Why it grew" in page
    assert "times as often" in page
    assert f"{REF.instance} is " in page
    assert "busier than at this time on 3 earlier days" in page
    found = busy.get("/api/hotspots", headers=bearer).json()
    growth = only(found["hotspots"])["growth"]
    assert growth["kind"] == "more_executions"
    assert growth["times_executions"] == pytest.approx(9, rel=0.3)
    assert [record["growth"] for record in found["hotspots"] if record["query_hash"] != HASH][:2] == [None, None]
    assert only(found["busier"][0]["statements"])["extra_seconds_per_hour"] == growth["extra_seconds_per_hour"]


def test_the_page_of_the_statement_says_it_is_busier_and_not_slower(busy, bearer):
    assert "Busier, not slower: it costs" in busy.get(f"/statements/{PLACE}").text
    assert busy.get(f"/api/statements/{PLACE}", headers=bearer).json()["growth"]["kind"] == "more_executions"


def test_the_command_line_tells_the_same(ran):
    found = ran("hotspots", "--window", "1h")
    assert only(found["hotspots"])["growth"]["words"].endswith("times as often")
    assert found["busier"][0]["instance"] == REF.instance


def test_the_summary_has_it_for_the_day(ran):
    found = ran("summary", "--day", f"{BEGIN:%Y-%m-%d}")
    assert only(found["growth"])["kind"] == "more_executions"
    assert found["busier"][0]["instance"] == REF.instance
