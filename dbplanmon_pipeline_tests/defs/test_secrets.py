"""A password in the settings goes to the server and nowhere else."""

import logging
import socket
from pathlib import Path

import dagster as dg
import pytest

from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline_tests.defs.locations import checks_of, settings_of, why_it_failed

SECRET = "pl4nted-Sup3r%secret/word"


@pytest.fixture
def closed_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def instance_at(port: int, password: str, **more: object) -> dict[str, object]:
    return {
        "name": "shop",
        "engine": "postgres",
        "server": "127.0.0.1",
        "port": port,
        "login": {"user": "watcher", "password": password},
        "databases": ["sales"],
        **more,
    }


@pytest.mark.parametrize("databases", [["sales"], {"discover": True}], ids=["named", "discovered"])
def test_planted_password_is_in_no_store_event_or_log(
    tmp_path: Path,
    closed_port: int,
    databases: object,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    settings = settings_of(
        tmp_path / "state", instances=[instance_at(closed_port, "env:SHOP_PASSWORD", databases=databases)]
    )
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}}) as instance:
        definitions = build_definitions(settings)
        for job in ("collection_job", "analysis_job", "health_job"):
            result = definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
            if job == "collection_job":
                assert not result.success
                assert "1 of 1 targets could not be read" in why_it_failed(result)
                assert "unreachable" in checks_of(result)["targets_are_reachable"].metadata["targets"].value
        events = "\n".join(repr(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id))
    output = capfd.readouterr()
    assert "shop/" in events
    assert "collection_job" in output.err
    for text in (events, output.out, output.err, caplog.text, repr(settings), str(settings.effective())):
        assert SECRET not in text
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "store.db" for path in written)
    for path in written:
        assert SECRET.encode() not in path.read_bytes(), path


def test_missing_password_stays_with_its_instance_and_names_the_variable(
    tmp_path: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    fleet = {"name": "fleet", "engine": "simulated", "databases": 2}
    settings = settings_of(tmp_path / "state", instances=[instance_at(closed_port, "env:SHOP_PASSWORD"), fleet])
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions(settings).resolve_job_def("collection_job")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert result.success
    table = checks_of(result)["targets_are_reachable"].metadata["targets"].value
    assert "SHOP_PASSWORD" in table
    assert "fleet/" not in table
