"""The Windows services: form and commands only, since no test of ours runs on Windows."""

import re
import shlex
import xml.etree.ElementTree as ET

import pytest
import yaml

from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline_tests.deploy.programs import DEPLOY, ROOT, assert_is_a_command

FOLDER = DEPLOY / "windows"
DEFINITIONS = sorted(FOLDER.glob("*.xml"))
SCRIPTS = sorted(FOLDER.glob("*.ps1"))
NEEDED = ["id", "name", "description", "executable", "arguments", "startmode", "stoptimeout", "logpath", "log"]


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_definitions_have_what_winsw_needs(path):
    service = ET.parse(path).getroot()
    assert service.tag == "service"
    assert [name for name in NEEDED if service.find(name) is None] == []
    assert service.findtext("id") == path.stem
    assert service.find("serviceaccount/username").text == "NT AUTHORITY\\LocalService"
    # WinSW has a %BASE% of its own, the folder of its program.
    assert "%BASE%" not in path.read_text("utf-8")


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_they_call_commands_that_are_there(path):
    service = ET.parse(path).getroot()
    words = shlex.split(service.findtext("arguments").replace("\\", "/"))
    assert_is_a_command([service.findtext("executable"), *words])


def test_what_a_service_waits_for_is_a_service():
    names = {path.stem for path in DEFINITIONS}
    waited = {depend.text for path in DEFINITIONS for depend in ET.parse(path).getroot().findall("depend")}
    assert waited == {"dbplanmon-code"}
    assert waited <= names


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_name_every_service_and_close_what_they_open(path):
    text = path.read_text("utf-8")
    assert set(re.findall(r"'(dbplanmon-\w+)'", text)) == {definition.stem for definition in DEFINITIONS}
    code = re.sub(r"<#.*?#>|#.*?$|'[^']*'|\"[^\"]*\"", "", text, flags=re.DOTALL | re.MULTILINE)
    for opening, closing in ("()", "{}", "[]"):
        assert code.count(opening) == code.count(closing), opening
    assert "SupportsShouldProcess" in text


def test_files_the_script_copies_are_there():
    text = (FOLDER / "install.ps1").read_text("utf-8")
    copied = re.findall(r"\$PSScriptRoot\\([\w.]+)\"", text)
    assert {name for name in copied if not (FOLDER / name).is_file()} == set()
    assert {"dbplanmon.yaml", "workspace.yaml", "dagster.yaml"} <= set(copied)


def test_workspace_leads_to_the_code_server():
    (server,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text("utf-8"))["load_from"]
    code = ET.parse(FOLDER / "dbplanmon-code.xml").getroot().findtext("arguments").split()
    assert code[code.index("-p") + 1] == str(server["grpc_server"]["port"])
    assert code[code.index("-h") + 1] == server["grpc_server"]["host"] == "127.0.0.1"


def test_the_instance_is_the_shipped_one_but_for_where_state_lies():
    shipped, ours = (
        yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "dagster.yaml", FOLDER / "dagster.yaml")
    )
    for section in ("storage", "local_artifact_storage", "compute_logs"):
        shipped.pop(section)
    assert ours == shipped


def test_settings_load(caplog):
    assert load_settings(FOLDER / "dbplanmon.yaml", environ={}).instances
    assert caplog.records == []
