"""Each rule has its page, each page its rule, and the table of all of them is fresh."""

import re
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.findings.registry import RULES
from dbplanmon_pipeline_tests.core.plans.findings.corpus import EVERY_PLAN, figures

PAGES = Path(__file__).parents[4] / "docs" / "findings"
README = PAGES / "README.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"
ENGINES = {Engine.SQLSERVER: "SQL Server", Engine.POSTGRES: "PostgreSQL"}
HEADINGS = ["What it means", "Why it costs", "How to check", "What to do", "When to ignore it"]


def rule_table(counts):
    """The table of docs/findings/README.md."""
    rows = [
        f"| [{rule.slug}]({rule.slug}.md) | {', '.join(ENGINES[engine] for engine in rule.engines)} | {rule.title} "
        f"| {counts.get(rule.slug, 0) or ''} |"
        for rule in RULES
    ]
    return "\n".join(["| finding | engine | what it is | real plans |", "|---|---|---|---|", *rows, ""])


def test_each_rule_has_its_page_and_each_page_its_rule():
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == {rule.slug for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_a_page_says_what_it_means_what_to_check_and_what_to_do(rule):
    text = (PAGES / f"{rule.slug}.md").read_text("utf-8")
    assert text.startswith(f"# {rule.title}\n\n`{rule.slug}`, {' and '.join(map(ENGINES.get, rule.engines))}.")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert "```sql\n" in text


def test_the_table_names_every_rule():
    shown = re.findall(r"^\| \[([\w-]+)\]", README.read_text("utf-8"), re.MULTILINE)
    assert shown == [rule.slug for rule in RULES]


@pytest.mark.skipif(not EVERY_PLAN, reason="../shared/data is not here")
def test_the_figures_of_the_table_are_those_of_the_real_plans():
    counts, told = figures()
    text = README.read_text("utf-8")
    assert text.split(BEGIN)[1].split(END)[0] == rule_table(counts), f"run: python -m {__name__}"
    for engine, (plans, with_findings) in told.items():
        assert f"{with_findings} of {plans} plans of {ENGINES[engine]}" in " ".join(text.split())


def rewrite():
    text = README.read_text("utf-8")
    counts, _ = figures()
    head, rest = text.split(BEGIN)
    README.write_text(head + BEGIN + rule_table(counts) + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    rewrite()
