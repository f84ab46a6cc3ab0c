from datetime import timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import issue_token
from dbplanmon_pipeline.settings.web import Anonymous, WebSettings
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.web.access.exposure import exposure
from dbplanmon_pipeline_tests.services.fleets import START


def told(folder: Path, host: str, anonymous: Anonymous = Anonymous.VIEWER, token_lasts: int | None = None) -> str:
    store = open_store(f"sqlite:///{folder}/store.db", clock=lambda: START)
    store.upgrade()
    if token_lasts is not None:
        issue_token(store, "anna", Role.VIEWER, actor="root", now=START, lasting=timedelta(days=token_lasts))
    line = exposure(WebSettings(anonymous=anonymous), host, store, START + timedelta(days=5))
    store.close()
    return line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "status.example.net"])
def test_a_page_for_everybody_is_warned_of(tmp_path, host):
    assert told(tmp_path, host).startswith(f"the status page on {host} asks for no login")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "localhost", "::1"])
def test_this_host_alone_is_no_danger(tmp_path, host):
    assert told(tmp_path, host) == ""


def test_where_strangers_see_nothing_there_is_nothing_to_warn_of(tmp_path):
    assert told(tmp_path, "0.0.0.0", Anonymous.NOBODY) == ""


@pytest.mark.parametrize(("days", "warned"), [(90, False), (1, True)])
def test_a_token_in_force_shows_that_somebody_thought_of_it(tmp_path, days, warned):
    assert bool(told(tmp_path, "0.0.0.0", token_lasts=days)) is warned


def test_without_a_store_the_warning_stands(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    assert exposure(WebSettings(), "0.0.0.0", store, START)
    store.close()
