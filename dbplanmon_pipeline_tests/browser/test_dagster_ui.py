"""What a DBA sees in the Dagster UI, looked at through a real browser on a running `dbplanmon up`."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from dbplanmon_pipeline_tests.support.requirements import absent

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SETTINGS = """\
environment: test
collection: {interval: 1m, startup_delay: 1s}
analysis: {delay: 1s}
instances:
  - {name: fleet, engine: simulated, databases: 3}
  - {name: stopped, engine: postgres, server: 127.0.0.1, port: 9, login: {user: nobody}, databases: [sales]}
"""
START_SECONDS = 90
RUN_SECONDS = 90
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        absent("browser", "no Chromium on this machine")
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The address of a `dbplanmon up` that has collected and analysed once."""
    home = tmp_path_factory.mktemp("home")
    (home / "dbplanmon.yaml").write_text(SETTINGS)
    port = _free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DBPLANMON_", "DAGSTER_HOME"))
    }
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dbplanmon_pipeline", "up", "--port", str(port), "--status-port", "0"],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _await_runs(address, home)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


@pytest.fixture(scope="module")
def page(running, chromium):
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1500, "height": 950}, base_url=running)
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_the_asset_graph_shows_the_way_of_the_data(page):
    page.goto("/asset-groups")

    for group in ("collection", "analysis", "daily", "on_demand"):
        page.get_by_text(group, exact=True).first.wait_for()


def test_a_stopped_server_is_an_amber_check_that_names_it(page):
    page.goto("/assets/query_metrics?view=checks&checkDetail=targets_are_reachable")

    page.get_by_text("1 of 4 targets did not answer: stopped/sales").first.wait_for()
    assert page.get_by_text("Failed", exact=True).count() >= 1


def test_runs_are_launched_by_schedule_and_sensors(page):
    page.goto("/runs")

    for job in ("collection_job", "analysis_job"):
        page.get_by_text(job, exact=True).first.wait_for()


def test_each_database_is_a_partition_to_click_on(page):
    page.goto("/assets/database_snapshot?view=partitions")

    page.get_by_text("fleet/sim0001", exact=True).first.wait_for()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_runs(address, home: Path):
    """Wait until the collection and the analysis have each ended once."""
    query = {"query": "{ runsOrError { ... on Runs { results { jobName status } } } }"}
    until = time.monotonic() + START_SECONDS + RUN_SECONDS
    while time.monotonic() < until:
        try:
            answer = httpx.post(f"{address}/graphql", json=query, timeout=10).json()
            done = {r["jobName"] for r in answer["data"]["runsOrError"]["results"] if r["status"] == "SUCCESS"}
            if {"collection_job", "analysis_job"} <= done:
                return
        except (httpx.TransportError, ValueError, KeyError, TypeError):
            pass
        time.sleep(1)
    raise AssertionError((home / "up.log").read_text()[-3000:])
