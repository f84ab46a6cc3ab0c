"""docs/reliability.md promises a test for each fault: they are there, and each line has all that it owes."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "::" in line
]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


@cache
def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    assert name in names_in(TESTS / file)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_fault_says_what_happens_what_is_lost_and_which_test_shows_it(row: list[str]) -> None:
    _fault, happens, lost, _seen, _heals, tests = row
    assert happens
    assert lost
    assert re.fullmatch(r"(`[\w/]+\.py::\w+` ?)+", tests)


def test_faults_are_many() -> None:
    assert len(ROWS) > 30
