"""What a session writes to the log, read from a real collection of simulated databases."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from dbplanmon_pipeline.cli import dbplanmon
from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.composition.journal import JOBS, RUN_ID, TARGETS_TOLD
from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.logs import JOBS_LOGGER, configure_logging
from dbplanmon_pipeline.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
FLEET = "instances:\n- {name: fleet, engine: simulated, databases: 3, options: {failing: 1, statements: 5}}\n"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = io.StringIO()
    configure_logging(json=True, level="INFO", stream=written)
    logging.getLogger(JOBS_LOGGER).setLevel(logging.NOTSET)
    token = RUN_ID.set("")
    yield written
    RUN_ID.reset(token)
    root.handlers[:] = handlers
    root.setLevel(level)


def settings_of(folder: Path, text: str = FLEET) -> Settings:
    (folder / "dbplanmon.yaml").write_text(f"environment: test\n{text}")
    return load_settings(environ={}, cwd=folder)


def events(stream: io.StringIO, *names: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in found if line["event"] in names or not names]


def test_a_job_is_told_when_it_begins_and_ends_and_each_target_once(tmp_path: Path, stream: io.StringIO) -> None:
    with Monitor(settings_of(tmp_path)).session() as session:
        session.collect()
    began, ended = events(stream, "job_started", "job_ended")
    assert (began["job"], ended["job"]) == ("collection", "collection")
    assert (ended["outcomes"], ended["failed"]) == (3, 1)
    assert ended["duration_ms"] > 0
    read, failed = events(stream, "target_read"), events(stream, "target_not_read")
    assert [(line["instance"], line["database"]) for line in [*read, *failed]] == [
        ("fleet", "sim0002"),
        ("fleet", "sim0003"),
        ("fleet", "sim0001"),
    ]
    assert failed[0]["level"] == "warning"
    assert failed[0]["error_class"] == "unreachable"
    assert all(line["duration_ms"] >= 0 for line in [*read, *failed])


def test_readings_that_wait_for_the_store_are_no_warning_each(tmp_path: Path, stream: io.StringIO) -> None:
    settings = settings_of(tmp_path)
    with Monitor(settings).session() as session:
        session.store.close()
        for file in settings.state_dir.glob("store.db*"):
            file.unlink()
        session.collect()
    told = [(line["event"], line["level"]) for line in events(stream, "target_read", "target_not_read")]
    assert sorted(told) == [("target_not_read", "warning"), *[("target_read", "info")] * 2]
    assert {line["status"] for line in events(stream, "target_read")} == {"spooled"}


def test_a_large_fleet_tells_only_of_what_was_not_read(tmp_path: Path, stream: io.StringIO) -> None:
    text = FLEET.replace("databases: 3", f"databases: {TARGETS_TOLD + 1}").replace("statements: 5", "statements: 1")
    with Monitor(settings_of(tmp_path, text)).session() as session:
        session.collect()
    assert events(stream, "target_read") == []
    assert len(events(stream, "target_not_read")) == 1


def test_an_expected_failure_is_one_line_and_told_once(tmp_path: Path, stream: io.StringIO) -> None:
    session = Monitor(settings_of(tmp_path)).open_session()
    with pytest.raises(StoreError):
        session.process_alerts()
    session.close()
    (failed,) = events(stream, "job_failed")
    assert "dbplanmon store upgrade" in failed["message"]
    assert failed["error_class"] == "StoreSchemaMismatch"
    assert not {"trace", "exception"} & set(failed)
    assert events(stream, "job_ended") == []


def test_a_defect_is_told_by_place_and_not_by_its_words(
    tmp_path: Path, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Monitor(settings_of(tmp_path)).session() as session:
        monkeypatch.setattr(session.store, "open_incidents", lambda: int("4111 1111 1111 1111"))
        with pytest.raises(ValueError, match="4111"):
            session.suggest_remediations()
    (failed,) = events(stream, "job_failed")
    assert failed["trace"][-1] == "ValueError"
    assert any("suggest_remediations.py" in place for place in failed["trace"])
    assert "4111" not in stream.getvalue()


def test_an_interruption_is_told(tmp_path: Path, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with Monitor(settings_of(tmp_path)).session() as session:
        monkeypatch.setattr(session.store, "open_incidents", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.suggest_remediations()
    assert [line["job"] for line in events(stream, "job_interrupted")] == ["suggestions"]
    assert events(stream, "job_failed") == []


def test_every_line_of_a_dagster_run_names_the_run(tmp_path: Path, stream: io.StringIO) -> None:
    job = build_definitions(settings_of(tmp_path)).resolve_job_def("collection_job")
    with dg.DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(instance=instance)
    told = events(stream, "job_started", "job_ended", "target_read", "target_not_read")
    assert len(told) == 5
    assert {line["run_id"] for line in told} == {run.run_id}


def test_every_job_is_one_of_the_session(tmp_path: Path) -> None:
    session = Monitor(settings_of(tmp_path)).open_session()
    assert [method for method in JOBS if not hasattr(session, method)] == []
    session.close()


RUN_WHERE_NOBODY_LOGS = """
import logging, os, pathlib, sys
import dagster as dg
from dbplanmon_pipeline.defs.location import build_definitions
from dbplanmon_pipeline.settings import load_settings

for folder in sys.argv[1:]:
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    os.dup2(os.open(f"{folder}/stderr", os.O_WRONLY | os.O_CREAT), 2)
    job = build_definitions(load_settings(cwd=pathlib.Path(folder))).resolve_job_def("collection_job")
    assert not logging.getLogger().handlers
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(instance=instance)
    logging.getLogger("other").info("not ours")
    sys.exit()
"""


def test_in_a_process_of_dagster_our_lines_go_to_standard_error(tmp_path: Path) -> None:
    sections = {"as_shipped": "", "chosen": "logging: {level: warning, format: json}\n"}
    for name, section in sections.items():
        (tmp_path / name).mkdir()
        settings_of(tmp_path / name, FLEET + section)
    # One process that imports, and a copy of it for each: importing costs more than running.
    subprocess.run(
        [sys.executable, "-c", RUN_WHERE_NOBODY_LOGS, *(tmp_path / name for name in sections)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=True,
    )
    for name, count in {"as_shipped": 5, "chosen": 1}.items():
        said = (tmp_path / name / "stderr").read_text()
        ours = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert len(ours) == count
        assert {line["logger"] for line in ours} == {"dbplanmon_pipeline.jobs"}
        assert "not ours" not in said


@pytest.mark.parametrize(
    ("options", "section", "shown"),
    [
        ((), "", []),
        (("-v",), "", ["human"]),
        ((), "logging: {level: info}\n", ["human"]),
        ((), "logging: {level: info, format: json}\n", ["json"]),
        (("-v",), "logging: {level: error, format: json}\n", ["json"]),
    ],
    ids=repr,
)
def test_the_settings_choose_level_and_form(
    tmp_path: Path, stream: io.StringIO, options: tuple[str, ...], section: str, shown: list[str]
) -> None:
    settings_of(tmp_path, FLEET.replace("failing: 1, ", "") + section)
    done = CliRunner().invoke(dbplanmon, ["--config", str(tmp_path / "dbplanmon.yaml"), *options, "baselines"])
    assert done.exit_code == 0
    forms = ["json" if line.startswith("{") else "human" for line in done.stderr.splitlines()]
    assert sorted(set(forms)) == shown
    assert stream.getvalue() == ""
