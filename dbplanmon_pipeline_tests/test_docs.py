"""What the pages under docs/ promise is there, and what is there stands in them.

Commands and their options: `cli/test_docs.py`. Settings keys one by one: `settings/test_reference.py`.
"""

import re
import shlex
from pathlib import Path

import click
import dagster as dg
import pytest

from dbplanmon_pipeline import errors
from dbplanmon_pipeline.cli import dbplanmon
from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline.errors import DbPlanMonError, ProviderError
from dbplanmon_pipeline.providers.sqlserver.causes import BY_NUMBER
from dbplanmon_pipeline.providers.sqlserver.inventory import inventory
from dbplanmon_pipeline.providers.sqlserver.self_test import SECONDS_PER_STATEMENT
from dbplanmon_pipeline.settings import Settings, load_settings, reference_markdown
from dbplanmon_pipeline.settings.schema import leaf_paths
from dbplanmon_pipeline.store.schema import metadata
from dbplanmon_pipeline_tests.bench.__main__ import BENCHMARKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PACKAGE_FILES = [path.as_posix() for path in (ROOT / "dbplanmon_pipeline").rglob("*") if path.is_file()]
ERROR_CLASSES = [
    found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, DbPlanMonError)
]


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def first_column(text: str, heading: str) -> set[str]:
    """Names in backticks that begin the rows of the tables below a heading."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    return set(re.findall(r"^\| `([a-z_0-9]+)` \|", section, re.MULTILINE))


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    return build_definitions(load_settings(environ={}, cwd=tmp_path_factory.mktemp("none")))


def test_the_page_on_dagster_names_every_asset_and_no_other(definitions):
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert first_column(page("dagster.md"), "Assets") == keys


def test_the_page_on_dagster_names_every_check_and_no_other(definitions):
    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    assert first_column(page("dagster.md"), "Checks") == names


def test_the_page_on_dagster_names_every_job_and_no_other(definitions):
    jobs = {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    assert first_column(page("dagster.md"), "Jobs") == jobs


@pytest.mark.parametrize(("heading", "kind"), [("Schedules", "schedules"), ("Sensors", "sensors")])
def test_the_page_on_dagster_names_every_schedule_and_sensor_and_no_other(definitions, heading, kind):
    assert first_column(page("dagster.md"), heading) == {found.name for found in getattr(definitions, kind)}


def test_the_page_on_dagster_names_every_switch():
    switches = {f"schedules.{path[1]}" for path in leaf_paths(Settings) if path[0] == "schedules"}
    assert {switch for switch in switches if f"`{switch}`" not in page("dagster.md")} == set()


@pytest.mark.parametrize("error", ERROR_CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_explained(error):
    row = next((line for line in page("errors.md").splitlines() if line.startswith(f"| `{error.__name__}` |")), "")
    assert row, f"docs/errors.md has no row for {error.__name__}"
    if issubclass(error, ProviderError):
        assert f"| `{error.error_class}` |" in row


def numbers_told() -> dict[int, str]:
    """Class of each number in the table of docs/errors.md."""
    told = {}
    for cell, error_class in re.findall(r"^\| (\d[^|]*) \| `(\w+)` \|", page("errors.md"), re.MULTILINE):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", cell):
            told |= dict.fromkeys(range(int(first), int(last or first) + 1), error_class)
    return told


def test_numbers_of_sql_server_have_the_class_that_is_told():
    told = numbers_told()
    assert len(told) > 30
    assert told == {number: BY_NUMBER[number].kind.error_class for number in told}


def test_the_page_on_the_architecture_names_every_table():
    text = page("architecture.md")
    assert [table for table in metadata.tables if f"`{table}`" not in text] == []


STATEMENT_ROW = r"^\| `\w+\.sql` \|.*\n"


def statement_rows() -> str:
    """The table of docs/sqlserver.md, made from the headings of the statements."""
    return "".join(
        f"| `{info.name}.sql` | {info.release}{f', not on {info.excluded}' if info.excluded else ''} "
        f"| {info.permission} | {info.purpose} |\n"
        for info in inventory()
    )


def rewrite_statement_rows() -> None:
    text = page("sqlserver.md")
    head, *_, tail = re.split(f"(?:{STATEMENT_ROW})+", text, flags=re.MULTILINE)
    (DOCS / "sqlserver.md").write_text(head + statement_rows() + tail, encoding="utf-8")


def test_the_page_on_sql_server_tells_every_statement_as_its_heading_does():
    shown = "".join(re.findall(STATEMENT_ROW, page("sqlserver.md"), re.MULTILINE))
    assert shown == statement_rows(), f"run: python -m {__name__}"


def test_the_page_on_sql_server_tells_how_long_a_statement_of_the_deep_check_may_take():
    assert f"at most {SECONDS_PER_STATEMENT:g} seconds each" in " ".join(page("sqlserver.md").split())


def test_the_page_on_benchmarks_names_every_benchmark():
    text = page("benchmarks.md")
    assert [name for name in BENCHMARKS if f"--only {name}`" not in text] == []


def test_the_reference_of_the_settings_is_fresh():
    assert page("settings.md") == reference_markdown(), "run: make docs"


def links_of(path: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors_of(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def leads_nowhere(path: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    file = (path.parent / target).resolve() if target else path
    return not file.exists() or bool(anchor and file.suffix == ".md" and anchor not in anchors_of(file))


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(path):
    assert [link for link in links_of(path) if leads_nowhere(path, link)] == []


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_source_file_that_is_named_is_there(path):
    files = re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.(?:py|sql))`", path.read_text("utf-8"))
    there = [*PACKAGE_FILES, *(file.as_posix() for file in (ROOT / "dbplanmon_pipeline_tests").rglob("*.py"))]
    assert [file for file in files if not any(known.endswith(f"/{file}") for known in there)] == []


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_settings_key_that_is_named_is_there(path):
    keys = {".".join(path) for path in leaf_paths(Settings)}
    sections = "|".join(sorted({key.split(".")[0] for key in keys}))
    found = re.findall(rf"`((?:{sections})\.[a-z_.]+)`", path.read_text("utf-8"))
    assert [key for key in found if key not in keys and not any(known.startswith(f"{key}.") for known in keys)] == []


def fenced(path: Path, language: str) -> list[str]:
    """Blocks of code of one language; the empty one for commands."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [text for found, text in blocks if found == language]


SHOWN_SETTINGS = [
    pytest.param(text, id=f"{named(path)}-{number}")
    for path in PAGES
    for number, text in enumerate(fenced(path, "yaml"))
    if re.search(r"^instances:", text, re.MULTILINE)
]


@pytest.mark.parametrize("text", SHOWN_SETTINGS)
def test_settings_that_a_page_shows_load(text, tmp_path, caplog):
    (tmp_path / "dbplanmon.yaml").write_text(text, encoding="utf-8")
    settings = load_settings(environ={}, cwd=tmp_path)
    assert settings.instances
    assert caplog.records == []


SHOWN_COMMANDS = sorted(
    {
        found.strip()
        for path in PAGES
        for text in fenced(path, "")
        for found in re.findall(r"^(?:[A-Z_]+=\S+ )*(?:\S*/)?(dbplanmon\b[^#>\n]*)", text, re.MULTILINE)
    }
)


@pytest.mark.parametrize("line", SHOWN_COMMANDS)
def test_a_command_that_a_page_shows_is_one(line):
    command, words = dbplanmon, shlex.split(line)[1:]
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(click.Context(dbplanmon), name)
        assert command is not None, f"there is no command {name}"
    # Reads the words only; nothing is run.
    command.make_context(line, words)


if __name__ == "__main__":
    rewrite_statement_rows()
