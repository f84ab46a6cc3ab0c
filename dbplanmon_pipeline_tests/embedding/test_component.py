"""The Dagster component in somebody else's project: found and scaffolded by `dg`, loaded, run, refused clearly."""

import importlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dbplanmon_pipeline.component import PlanMonitorComponent
from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.defs.location import build_definitions
from dbplanmon_pipeline.settings import Settings, load_settings
from dbplanmon_pipeline_tests.defs.locations import metadata_of

ROOT = Path(__file__).parents[2]
TYPE = "dbplanmon_pipeline.component.PlanMonitorComponent"
FLEET = {"name": "fleet", "engine": "simulated", "databases": 2, "options": {"statements": 8}}
DEFINITIONS = """\
from pathlib import Path

import dagster as dg


@dg.asset
def query_metrics() -> None:
    '''Theirs, named like one of ours.'''


@dg.definitions
def defs() -> dg.Definitions:
    ours = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(dg.Definitions(assets=[query_metrics]), ours)
"""
_numbers = itertools.count(1)


class Project:
    """A `dg` project with an asset of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = f"theirs{next(_numbers)}"
        self.defs = folder / self.module / "defs"
        self.defs.mkdir(parents=True)
        for package in (self.defs, self.defs.parent):
            (package / "__init__.py").touch()
        (self.defs.parent / "definitions.py").write_text(DEFINITIONS)
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{self.module}"\nversion = "0"\n\n[tool.dg]\ndirectory_type = "project"\n\n'
            f'[tool.dg.project]\nroot_module = "{self.module}"\n'
        )

    def component(self, name: str, **attributes: Any) -> None:
        (self.defs / name).mkdir()
        document = yaml.safe_dump({"type": TYPE, "attributes": attributes})
        (self.defs / name / "defs.yaml").write_text(document)

    def load(self) -> dg.Definitions:
        module = importlib.import_module(f"{self.module}.definitions")
        definitions = module.defs
        return definitions() if not isinstance(definitions, dg.Definitions) else definitions

    def dg(self, *words: str) -> str:
        """Run the `dg` program here."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("DBPLANMON_", "DAGSTER_"))}
        path = os.pathsep.join((str(self.folder), str(ROOT)))
        programs = Path(sys.executable).parent
        done = subprocess.run(
            [programs / "dg", *words],
            cwd=self.folder,
            env={**environ, "PYTHONPATH": path, "PATH": f"{programs}{os.pathsep}{environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in [name for name in os.environ if name.startswith("DBPLANMON_")]:
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Project(tmp_path)


def monitor_of(definitions: dg.Definitions, key: str) -> Monitor:
    return definitions.resources[key]


def names_of(definitions: dg.Definitions, job: str) -> set[str]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def(job).execute_in_process(instance=instance)
    slowest = metadata_of(result)["query_metrics"]["slowest"]
    return {line.split("|")[1].strip() for line in slowest.splitlines()[2:]}


class TestDgProgram:
    def test_it_knows_the_component(self):
        registered = {entry.name: entry.value for entry in entry_points(group="dagster_dg_cli.registry_modules")}
        assert registered.get("dbplanmon_pipeline") == "dbplanmon_pipeline.component", "pip install -e . once more"

    def test_what_it_scaffolds_loads_at_once(self, project):
        project.dg("scaffold", "defs", TYPE, "watch")
        attributes = yaml.safe_load((project.defs / "watch" / "defs.yaml").read_text())["attributes"]
        assert attributes.keys() == {"key_prefix", "environment", "instances"}
        listed = json.loads(project.dg("list", "defs", "--json"))
        keys = {asset["asset_key"] for asset in listed["assets"]}
        assert {"query_metrics", "dbplanmon/query_metrics", "dbplanmon/baselines"} <= keys
        assert {"dbplanmon__collection_schedule"} <= {schedule["name"] for schedule in listed["schedules"]}

    def test_it_checks_the_names_of_sections(self, project):
        schema = PlanMonitorComponent.get_model_cls().model_json_schema()
        assert schema["properties"].keys() == {"key_prefix", "settings_file", *Settings.model_fields}
        assert schema["additionalProperties"] is False


class TestLoaded:
    def test_a_run_reads_what_the_attributes_name(self, project):
        project.component("watch", instances=[FLEET])
        assert names_of(project.load(), "dbplanmon__collection_job") == {"fleet/sim0001", "fleet/sim0002"}
        assert (project.folder / ".dbplanmon" / "dbplanmon" / "store.db").is_file()

    def test_its_schedule_asks_for_its_job(self, project):
        project.component("watch", instances=[FLEET], collection={"startup_delay": "0s"})
        repository = project.load().get_repository_def()
        schedule = repository.get_schedule_def("dbplanmon__collection_schedule")
        with (
            dg.instance_for_test() as instance,
            dg.build_schedule_context(instance, repository_def=repository) as context,
        ):
            tick = schedule.evaluate_tick(context)
        assert [request.tags["dbplanmon/job"] for request in tick.run_requests] == ["dbplanmon__collection_job"]

    def test_two_of_them_share_nothing(self, project):
        project.component("north", key_prefix="north", instances=[{**FLEET, "name": "oslo"}])
        project.component("south", key_prefix=["dba", "south"], instances=[{**FLEET, "name": "rome"}])
        definitions = project.load()
        assert names_of(definitions, "north__collection_job") == {"oslo/sim0001", "oslo/sim0002"}
        assert names_of(definitions, "dba__south__collection_job") == {"rome/sim0001", "rome/sim0002"}
        state = project.folder / ".dbplanmon"
        assert {path.parent.relative_to(state).as_posix() for path in state.rglob("store.db")} == {"north", "dba/south"}

    def test_a_settings_file_is_the_one_the_command_line_reads(self, project):
        (project.folder / "dbplanmon.yaml").write_text(yaml.safe_dump({"instances": [FLEET]}))
        project.component("watch", settings_file="dbplanmon.yaml")
        settings = monitor_of(project.load(), "dbplanmon__dbplanmon").settings
        assert settings == load_settings(project.folder / "dbplanmon.yaml")

    def test_templates_and_variables_count(self, project, monkeypatch):
        monkeypatch.setenv("THEIR_SERVER", "from-template")
        monkeypatch.setenv("DBPLANMON_COLLECTION__TOP_N", "77")
        project.component("watch", instances=[{**FLEET, "name": "{{ env.THEIR_SERVER }}"}])
        settings = monitor_of(project.load(), "dbplanmon__dbplanmon").settings
        assert (settings.instances[0].name, settings.collection.top_n) == ("from-template", 77)


class TestRefused:
    @pytest.mark.parametrize(
        ("attributes", "complaint"),
        [
            ({"collection": {"top": 5}}, "watch/defs.yaml: collection.top: unknown key"),
            (
                {"collection": {"top_n": 0}},
                "collection.top_n: 0 is not right; expected a whole number, from 1 to 10000",
            ),
            ({"instances": [{"name": "a", "engine": "oracle"}]}, "instances[0].engine"),
            ({"instances": [FLEET], "settings_file": "x.yaml"}, "name settings_file or instances, not both"),
            ({"settings_file": "absent.yaml"}, "absent.yaml"),
            ({"instances": [FLEET], "colection": {}}, "Extra inputs are not permitted"),
        ],
        ids=["unknown key", "out of range", "unknown engine", "both", "no file", "unknown section"],
    )
    def test_what_is_wrong_is_named(self, project, attributes, complaint):
        project.component("watch", **attributes)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - Dagster wraps it by its own rules
            project.load()
        assert complaint in _whole_story(caught.value)

    def test_a_secret_is_not_shown(self, project):
        login = {"user": "dbplanmon", "password": "hunter2"}
        project.component("watch", instances=[{"name": "a", "engine": "postgres", "server": "a", "login": login}])
        with pytest.raises(Exception) as caught:  # noqa: PT011
            project.load()
        assert "hunter2" not in _whole_story(caught.value)


def _whole_story(error: BaseException | None) -> str:
    return f"{error}\n{_whole_story(error.__cause__ or error.__context__)}" if error else ""


def test_python_makes_a_component_too(tmp_path):
    make: Callable[..., PlanMonitorComponent] = PlanMonitorComponent
    settings = Settings.model_validate({"state_dir": tmp_path, "instances": [FLEET]})
    component = make(settings, key_prefix="dba")
    names = {job.name for job in build_definitions(component.settings, component.key_prefix).resolve_all_job_defs()}
    assert "dba__collection_job" in names
