import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from dbplanmon_pipeline.settings import Settings, example_yaml, load_settings, reference_markdown
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.reference import main
from dbplanmon_pipeline.settings.schema import leaf_paths, sections_in, shape_of
from dbplanmon_pipeline_tests.settings.support import write

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def _all_sections(section=Settings):
    found = {section}
    for field in section.model_fields.values():
        for below in sections_in(field.annotation):
            found |= _all_sections(below)
    return found


SECTIONS = sorted(_all_sections(), key=lambda section: section.__name__)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_field_is_described_and_every_number_is_bounded(section):
    for name, field in section.model_fields.items():
        shape = shape_of(field)
        assert field.description, f"{section.__name__}.{name} has no description"
        if shape.kind in ("whole number", "number", "duration"):
            assert shape.bounds, f"{section.__name__}.{name} has no bounds"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_section_refuses_unknown_keys_and_changes(section):
    assert issubclass(section, Section)
    assert section.model_config["extra"] == "forbid"
    assert section.model_config["frozen"] is True


def test_every_default_lies_within_its_bounds():
    for section in SECTIONS:
        for field in section.model_fields.values():
            if not field.is_required():
                assert TypeAdapter(field.rebuild_annotation()).validate_python(field.default) == field.default


def test_the_reference_in_the_docs_is_the_generated_one():
    written = (ROOT / "docs" / "settings.md").read_text("utf-8")

    assert written == reference_markdown(), "run: python -m dbplanmon_pipeline.settings.reference"


def test_the_reference_names_every_variable():
    page = reference_markdown()
    names = set(re.findall(r"`(DBPLANMON_[A-Z_]+)` \|$", page, re.MULTILINE))

    expected = {f"DBPLANMON_{'__'.join(path).upper()}" for path in leaf_paths(Settings) if len(path) > 1}
    lists = {"DBPLANMON_ALERTS__CHANNELS", "DBPLANMON_ALERTS__ESCALATION"}
    assert names == expected - lists | {"DBPLANMON_ENVIRONMENT", "DBPLANMON_STATE"}


def test_the_command_writes_the_reference(tmp_path):
    target = tmp_path / "settings.md"
    main([str(target)])

    assert target.read_text("utf-8") == reference_markdown()


def test_the_command_runs_without_a_warning(tmp_path):
    module = "dbplanmon_pipeline.settings.reference"
    subprocess.run([sys.executable, "-W", "error", "-m", module, str(tmp_path / "page.md")], check=True)

    assert (tmp_path / "page.md").stat().st_size > 5_000


def test_the_example_loads_as_it_is(tmp_path, caplog):
    write(tmp_path, example_yaml())
    settings = load_settings(environ={}, cwd=tmp_path)

    assert settings.instance("sandbox").databases.count == 2
    assert caplog.records == []


def test_the_commented_parts_of_the_example_load_too(tmp_path):
    text = re.sub(
        r"^(\s*)# (?=( *- |  )?[{a-z]+|  )", r"\1", example_yaml().split("instances:\n")[1], flags=re.MULTILINE
    )
    uncommented = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("Two", "#")))
    write(tmp_path, "instances:\n" + uncommented)

    settings = load_settings(environ={}, cwd=tmp_path)

    assert [instance.name for instance in settings.instances] == ["sandbox", "orders"]
    assert [channel.type for channel in settings.alerts.channels] == ["log", "webhook"]


def test_the_example_folder_holds_the_same_example():
    assert (ROOT / "examples" / "dbplanmon.yaml").read_text("utf-8") == example_yaml()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads_without_a_warning(path, caplog):
    settings = load_settings(path, environ={})

    assert settings.instances
    assert caplog.records == []


def test_the_production_example_lies_over_the_plain_one(caplog):
    environ = {"DBPLANMON_ENVIRONMENT": "production"}
    settings = load_settings(ROOT / "examples" / "dbplanmon.yaml", environ=environ)

    assert settings.environment == "production"
    assert [instance.name for instance in settings.instances] == ["prod-pg-01", "prod-pg-02"]
    assert settings.for_database("prod-pg-02", "audit").collection.top_n == 100
    assert caplog.records == []


def test_only_one_module_of_the_package_reads_the_environment():
    package = ROOT / "dbplanmon_pipeline"
    readers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"os\.environ|os\.getenv|from os import .*environ", path.read_text("utf-8"))
    }

    assert readers <= {"settings/environment.py"}


def test_a_key_that_nothing_acts_upon_is_told(tmp_path, caplog):
    write(tmp_path, "remediation: {enabled: false}\n")

    load_settings(environ={}, cwd=tmp_path)

    assert "remediation.enabled is kept, but not in effect in this version" in caplog.text
