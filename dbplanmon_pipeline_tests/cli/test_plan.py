import json

import pytest

from dbplanmon_pipeline.core.model import hash_text

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


def test_diff_says_what_changed(cli, plans):
    old, new = plans("old.json", SEEK), plans("new.json", SCAN)
    difference = cli.json("plan", "diff", old, new)
    assert difference["summary"]
    assert "access_path" in {change["kind"] for change in difference["changes"]}
    assert all(set(change) == {"kind", "node", "before", "after", "text"} for change in difference["changes"])
    assert difference["summary"] in cli("plan", "diff", old, new).stdout


def test_diff_of_a_plan_with_itself_is_empty(cli, plans):
    same = plans("same.json", SEEK)
    assert cli.json("plan", "diff", same, same)["changes"] == []
