"""Image and compose file: what they copy, call and refer to is there; and the entry point, run for real."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbplanmon_pipeline import __version__
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline_tests.deploy.programs import DEPLOY, ROOT, assert_is_a_command, commands_of

FOLDER = DEPLOY / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "postgres"}


def instructions() -> list[tuple[str, str]]:
    """Keyword and rest of each instruction of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(keyword, rest) for keyword, _, rest in (line.partition(" ") for line in lines)]


def last(keyword: str) -> str:
    return [rest for found, rest in instructions() if found == keyword][-1]


class TestImage:
    def test_every_copied_file_is_there_and_not_ignored(self):
        kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()}
        for rest in (rest for keyword, rest in instructions() if keyword == "COPY" and "--from" not in rest):
            *sources, _ = [word for word in rest.split() if not word.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source.removeprefix("./") in kept, f".dockerignore leaves {source} out"

    def test_it_runs_as_nobody_in_particular(self):
        assert last("USER") == "10001:10001"

    def test_its_command_and_its_health_check_are_commands(self):
        assert_is_a_command(json.loads(last("CMD")))
        assert_is_a_command(json.loads(last("HEALTHCHECK").split("CMD ")[1]))

    def test_its_default_extras_exist(self):
        project = (ROOT / "pyproject.toml").read_text("utf-8")
        (extras,) = [rest.partition("=")[2] for keyword, rest in instructions() if rest.startswith("EXTRAS=")]
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = ", project, re.MULTILINE)

    def test_state_and_settings_lie_where_volumes_are_mounted(self):
        variables = dict(word.split("=", 1) for word in last("ENV").split())
        assert variables["DBPLANMON_STATE"] == last("VOLUME") == "/var/lib/dbplanmon"
        targets = {volume.split(":")[1] for volume in OURS["status"]["volumes"]}
        assert targets == {variables["DBPLANMON_STATE"], variables["DBPLANMON_CONFIG"]}


class TestCompose:
    @pytest.mark.parametrize("name", OURS)
    def test_commands_are_commands(self, name):
        words = OURS[name]["command"]
        for command in commands_of(words[2]) if words[0] == "sh" else [words]:
            assert_is_a_command(command)
        check = OURS[name].get("healthcheck", {"test": ["CMD", "python"]})["test"]
        assert check[0] == "CMD"
        assert_is_a_command(check[1:])

    @pytest.mark.parametrize("name", SERVICES)
    def test_secrets_volumes_and_services_it_refers_to_are_declared(self, name):
        service = SERVICES[name]
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (FOLDER / source).is_file(), source

    @pytest.mark.parametrize("name", SERVICES)
    def test_ports_are_published_on_loopback_alone(self, name):
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))

    @pytest.mark.parametrize("name", OURS)
    def test_containers_have_no_rights_to_spare(self, name):
        service = OURS[name]
        assert (service["user"], service["cap_drop"], service["read_only"]) == ("10001:10001", ["ALL"], True)
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["image"].endswith(f":{__version__}")

    @pytest.mark.parametrize("name", SERVICES)
    def test_no_secret_stands_in_the_file(self, name):
        for variable, value in SERVICES[name].get("environment", {}).items():
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), variable
            assert "://" not in value

    def test_dagster_is_prepared_alone_and_first(self):
        waits = {name: service["depends_on"] for name, service in OURS.items()}
        first = {"prepare": {"condition": "service_completed_successfully"}}
        assert waits["code-server"] == waits["status"] == first
        assert waits["daemon"] == waits["webserver"] == {"code-server": {"condition": "service_healthy"}}

    def test_the_instance_file_finds_all_its_variables(self):
        text = (DEPLOY / "dagster-postgres.yaml").read_text("utf-8")
        given = {name.removesuffix("_FILE") for name in OURS["daemon"]["environment"]}
        assert set(re.findall(r"\{env: (\w+)\}", text)) <= given

    def test_workspace_leads_to_the_code_server(self):
        (server,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text("utf-8"))["load_from"]
        where = server["grpc_server"]
        command = OURS["code-server"]["command"]
        assert where["host"] in SERVICES
        assert command[command.index("-p") + 1] == str(where["port"])

    def test_settings_load(self, tmp_path, caplog):
        assert load_settings(FOLDER / "dbplanmon.yaml", environ={"DBPLANMON_STATE": str(tmp_path)}).instances
        assert caplog.records == []


class TestEntryPoint:
    def run(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [FOLDER / "entrypoint.sh", *words],
            env={"PATH": os.environ["PATH"], **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_a_secret_in_a_file_becomes_a_variable(self, tmp_path: Path):
        secret = "p@ss $HOME `id` 'x'"
        (tmp_path / "password").write_text(f"{secret}\n")
        done = self.run(
            "sh", "-c", "printf %s \"$DAGSTER_POSTGRES_PASSWORD${DAGSTER_POSTGRES_PASSWORD_FILE-gone}\"",
            DAGSTER_POSTGRES_PASSWORD_FILE=str(tmp_path / "password"),
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, f"{secret}gone")

    def test_a_missing_file_is_one_clear_line(self, tmp_path: Path):
        done = self.run("true", DBPLANMON_STORE_URL_FILE=str(tmp_path / "absent"))
        assert done.returncode == 1
        assert done.stderr == f"entrypoint: DBPLANMON_STORE_URL_FILE names {tmp_path}/absent, which cannot be read\n"

    def test_the_program_takes_its_place(self):
        done = self.run("sh", "-c", "exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
