"""What a page says when it cannot show what was asked for."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, serving


def test_an_unknown_incident_has_a_way_back(site):
    answer = site.get("/incidents/ffffffffffff")
    assert answer.status_code == 404
    assert "There is no such incident" in answer.text
    assert 'href="/incidents"' in answer.text


def test_an_unknown_page_too(site):
    answer = site.get("/nowhere")
    assert (answer.status_code, "There is no such page" in answer.text) == (404, True)


def test_programs_hear_of_it_in_json(site):
    answer = site.get("/api/incidents/ffffffffffff")
    assert (answer.status_code, "no incident" in answer.json()["error"]) == (404, True)


@pytest.mark.parametrize("path", ["/", "/incidents", "/incidents/abc"])
def test_a_store_that_is_not_there_is_told_with_what_to_do(tmp_path, path):
    with serving(tmp_path) as without:
        answer = without.get(path)
    assert answer.status_code == 503
    assert "dbplanmon store upgrade" in answer.text
    assert "Traceback" not in answer.text


def test_a_store_of_another_version_is_told(past, tmp_path):
    shutil.copytree(past, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with serving(tmp_path) as old:
        answer = old.get("/")
    assert answer.status_code == 503
    assert "newer program" in answer.text


def test_a_store_that_is_away_is_told_without_its_password(tmp_path):
    secret = "zq9-secret"
    settings = SETTINGS.replace("production", "development")
    url = f"postgresql://dbplanmon:{secret}@127.0.0.1:9/store"
    with serving(tmp_path, settings=f"{settings}store: {{url: '{url}'}}\n") as away:
        answer = away.get("/")
    assert answer.status_code == 503
    assert "The store cannot be reached" in answer.text
    assert secret not in answer.text
    assert "Retry-After" in answer.headers


def test_the_store_may_come_back(past, tmp_path):
    with serving(tmp_path, past=past) as site:
        (tmp_path / "store.db").rename(tmp_path / "away.db")
        assert site.get("/incidents").status_code == 503
        (tmp_path / "away.db").rename(tmp_path / "store.db")
        assert site.get("/incidents").status_code == 200
