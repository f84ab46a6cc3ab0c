import io
import json
import re
import sys

import pytest

from dbplanmon_pipeline.cli.output import may_colour, terminal_width
from dbplanmon_pipeline.core.model import (
    CapturedPlan,
    CollectionOutcome,
    CollectionStatus,
    DatabaseRef,
    Engine,
    hash_text,
)
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline_tests.core.plans.showplans import (
    FOLDER,
    MISSING,
    element,
    relop,
    showplan,
    statement,
    table,
)

REF = DatabaseRef("fleet", "sim0001")
SEEK = {
    "Node Type": "Index Scan",
    "Relation Name": "orders",
    "Alias": "orders",
    "Index Name": "orders_pkey",
    "Index Cond": "(id = $1)",
    "Total Cost": 8.3,
    "Startup Cost": 0.3,
    "Plan Rows": 1,
    "Plan Width": 8,
}
SCAN = {
    "Node Type": "Gather",
    "Total Cost": 9000.0,
    "Startup Cost": 10.0,
    "Plan Rows": 1,
    "Plan Width": 8,
    "Plans": [{**SEEK, "Node Type": "Seq Scan", "Parent Relationship": "Outer", "Total Cost": 8990.0}],
}


@pytest.fixture
def plans(tmp_path):
    def written(name, root, encoding="utf-8"):
        path = tmp_path / name
        path.write_text(json.dumps([{"Plan": root}]), encoding=encoding)
        return str(path)

    return written


def test_show_lists_every_operator_with_its_parent(cli, plans):
    shown = cli.json("plan", "show", plans("scan.json", SCAN))
    assert shown["engine"] == "postgres"
    assert shown["counts"] == {"statements": 1, "operators": 2}
    operators = shown["statements"][0]["operators"]
    assert [(o["id"], o["parent"], o["depth"], o["name"]) for o in operators] == [
        (0, None, 0, "Gather"),
        (1, 0, 1, "Seq Scan"),
    ]


def test_show_reads_utf_16_as_windows_tools_write_it(cli, plans):
    assert "orders" in cli("plan", "show", plans("wide.json", SEEK, "utf-16")).stdout


def test_show_finds_a_stored_plan_by_its_hash(cli, recorded):
    stored = hash_text(recorded.incident.plan_hash)
    shown = cli.json("plan", "show", stored)
    assert shown["counts"]["operators"] == len(shown["statements"][0]["operators"]) > 0
    assert cli("plan", "show", "0" * 15 + "1").stderr == "dbplanmon: no plan 0000000000000001 in the store\n"


def test_show_tells_why_a_plan_is_not_in_the_store(cli, recorded):
    store = cli.store()
    outcome = CollectionOutcome(REF, recorded.tick, CollectionStatus.OK)
    told = CapturedPlan(recorded.incident.query_hash, 0xABC, reason="no plan: it takes 40 MB, more than 32 MB")
    store.record([CollectedDatabase(outcome, Engine.SIMULATED, plans=(told,))])
    store.close()
    told_line = "dbplanmon: plan 0000000000000abc was not kept: it takes 40 MB, more than 32 MB\n"
    assert cli("plan", "show", "0" * 13 + "abc").stderr == told_line


@pytest.mark.parametrize(
    "content", [b"", b"<ShowPlanXML/>", b"Seq Scan on t  (cost=0.00..1.00)", b"\xff\xff\x00", b"[]"]
)
def test_file_that_is_no_plan_is_one_line_and_nothing_else(cli, tmp_path, content):
    path = tmp_path / "no.json"
    path.write_bytes(content)
    for option in ((), ("--json",)):
        result = cli("plan", "show", str(path), *option)
        assert (result.exit_code, result.stdout) == (1, "")
        assert len(result.stderr.splitlines()) == 1


def test_neither_file_nor_hash_is_one_line(cli):
    result = cli("plan", "show", "nowhere.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no such file" in result.stderr


FILTERED = {**SCAN, "Plans": [{**SCAN["Plans"][0], "Index Cond": "", "Filter": "(total > $1)"}]}


def test_show_tells_what_stands_out_and_where(cli, plans):
    path = plans("scan.json", FILTERED)
    (found,) = cli.json("plan", "show", path)["statements"][0]["findings"]
    assert {key: found[key] for key in ("rule", "severity", "node", "operator", "page")} == {
        "rule": "scan-filters-most-rows",
        "severity": "high",
        "node": 1,
        "operator": "Seq Scan on orders",
        "page": "docs/findings/scan-filters-most-rows.md",
    }
    assert {"name": "estimated_cost", "value": 8990.0, "unit": "cost units"} in found["evidence"]
    lines = cli("plan", "show", path).stdout.splitlines()
    assert next(line for line in lines if "Seq Scan" in line).endswith("[1]")
    assert "[1] Scan that throws most rows away (high, 100% of the work)" in lines


def test_diff_tells_first_what_is_wrong_with_the_new_plan_only(cli, plans):
    old, new = plans("old.json", SEEK), plans("new.json", FILTERED)
    assert [one["rule"] for one in cli.json("plan", "diff", old, new)["new_findings"]] == ["scan-filters-most-rows"]
    assert cli("plan", "diff", old, new).stdout.splitlines()[1].startswith("! Scan that throws most rows away: ")
    assert cli.json("plan", "diff", new, old)["new_findings"] == []


def test_diff_says_what_changed(cli, plans):
    old, new = plans("old.json", SEEK), plans("new.json", SCAN)
    difference = cli.json("plan", "diff", old, new)
    assert difference["summary"]
    assert "access_path" in {change["kind"] for change in difference["changes"]}
    assert all(set(change) == {"kind", "node", "before", "after", "text"} for change in difference["changes"])
    assert difference["summary"] in cli("plan", "diff", old, new).stdout


def test_diff_says_once_what_changed_most_and_why(cli, plans):
    crossed = {"Node Type": "Nested Loop", "Plan Rows": 25e6, "Total Cost": 5e6, "Plans": [_READ, _READ]}
    old, new = plans("old.json", _READ), plans("new.json", crossed)
    difference = cli.json("plan", "diff", old, new)
    cause = next(one for one in difference["new_findings"] if one["rule"] == "no-join-predicate")
    told = cli("plan", "diff", "--no-trees", old, new).stdout
    assert told.count(cause["text"]) == told.count(difference["changes"][0]["text"]) == 1
    assert f"! {cause['title']}. {cause['advice']}\n" in told
    assert all(change["text"] in told for change in difference["changes"])


_READ = {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "o", "Plan Rows": 5_000, "Total Cost": 900.0}


def test_diff_of_a_plan_with_itself_is_empty(cli, plans):
    same = plans("same.json", SEEK)
    assert cli.json("plan", "diff", same, same)["changes"] == []
    assert "Before:" not in cli("plan", "diff", same, same).stdout


def test_diff_shows_both_trees_with_signs_unless_they_are_not_wanted(cli, plans):
    old, new = plans("old.json", SEEK), plans("new.json", SCAN)
    _, before, now = re.split(r"^Before:$|^Now:$", cli("plan", "diff", old, new).stdout, flags=re.MULTILINE)
    assert [line[0] for line in before.splitlines() if "Index Scan using" in line] == ["~"]
    assert [line[0] for line in now.splitlines() if re.search("Gather|-> Seq Scan", line)] == ["+", "~"]
    assert "* Index Scan became Seq Scan" in now
    assert "Before:" not in cli("plan", "diff", "--no-trees", old, new).stdout


def test_diff_maps_every_operator_for_programs(cli, plans):
    difference = cli.json("plan", "diff", plans("old.json", SEEK), plans("new.json", SCAN))
    assert difference["statements"] == [
        {
            "old": 0,
            "new": 0,
            "operators": [
                {"old": None, "new": 0, "change": "new", "what": []},
                {"old": 0, "new": 1, "change": "changed", "what": ["Index Scan became Seq Scan"]},
            ],
        }
    ]


def test_there_is_no_colour_and_no_limit_of_a_line_where_nobody_watches(cli, plans):
    long = {**SCAN["Plans"][0], "Filter": " AND ".join(["(total > $1)"] * 40)}
    told = cli("plan", "diff", plans("old.json", SEEK), plans("new.json", long)).stdout
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) > 500


def showplan_of(physical, index, **attributes):
    return showplan(
        statement(
            element("Warnings", NoJoinPredicate=1),
            relop(physical, table("Orders", index)),
            element("ParameterList", element("ColumnReference", Column="@p1", ParameterDataType="int")),
            text="select 1",
            QueryHash="0xAB",
            QueryPlanHash="0xFFFFFFFFFFFFFFFF",
            **attributes,
        )
    )


@pytest.fixture
def showplans(tmp_path):
    def written(name, text, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(('<?xml version="1.0" encoding="utf-16"?>' + text).encode(encoding))
        return str(path)

    return written


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_show_reads_a_showplan_in_every_encoding(cli, showplans, encoding):
    shown = cli.json("plan", "show", showplans("one.sqlplan", showplan_of("Index Seek", "IX_größe"), encoding))
    assert (shown["engine"], shown["version"]) == ("sqlserver", "16.0.4222.2")
    assert shown["counts"] == {
        "statements": 1,
        "operators": 1,
        "missing_indexes": 0,
        "plan_affecting_converts": 0,
        "spills": 0,
        "no_join_predicates": 1,
        "columns_with_no_statistics": 0,
        "parameters": 1,
    }
    (one,) = shown["statements"]
    assert (one["text"], one["type"], one["query_hash"], one["plan_hash"]) == (
        "select 1",
        "SELECT",
        "00000000000000ab",
        "ffffffffffffffff",
    )
    assert one["operators"][0]["index"] == "IX_größe"
    assert one["warnings"][0]["kind"] == "NoJoinPredicate"
    assert one["parameters"][0]["name"] == "@p1"


def test_show_lists_both_trees_of_a_cursor(cli, showplans):
    operations = [element("Operation", element("QueryPlan", relop("Top", detail="Top"))) for _ in range(2)]
    text = showplan(element("StmtCursor", element("CursorPlan", *operations), StatementText="c"))
    shown = cli.json("plan", "show", showplans("cursor.sqlplan", text))
    assert [(o["id"], o["parent"]) for o in shown["statements"][0]["operators"]] == [(0, None), (1, None)]


def test_diff_of_showplans_says_what_changed(cli, showplans):
    old = showplans("old.sqlplan", showplan_of("Index Seek", "IX_Cust", StatementSubTreeCost="0.1"))
    new = showplans("new.sqlplan", showplan_of("Clustered Index Scan", "PK_Orders", StatementSubTreeCost="10"))
    difference = cli.json("plan", "diff", old, new)
    assert difference["changes"][0] == {
        "kind": "access_path",
        "node": "dbo.Orders",
        "before": "Index Seek using IX_Cust",
        "after": "Clustered Index Scan using PK_Orders",
        "text": "dbo.Orders: Index Seek using IX_Cust became Clustered Index Scan using PK_Orders",
    }
    assert "x100" in difference["summary"]


def test_plans_of_two_engines_are_not_compared(cli, plans, showplans):
    result = cli("plan", "diff", plans("a.json", SEEK), showplans("b.sqlplan", showplan_of("Index Seek", "IX")))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "one engine" in result.stderr


@pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)
def test_a_real_file_of_a_false_namespace_is_one_line_and_nothing_else(cli):
    (path,) = FOLDER.glob("*/d5dd73cd*")
    result = cli("plan", "show", str(path), "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "namespace" in result.stderr


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals_whose_owner_wants_them(monkeypatch, environment, coloured):
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert may_colour() is coloured


def test_lines_are_as_wide_as_the_terminal_and_without_one_of_any_width(monkeypatch):
    assert terminal_width() is None
    monkeypatch.setenv("COLUMNS", "72")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert terminal_width() == 72
