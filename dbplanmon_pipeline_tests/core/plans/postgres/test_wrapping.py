"""EXPLAIN as terminals, pages, drivers and collectors of logs hand it over."""

import json
from html import escape

import pytest

from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.stored import parse_plan
from dbplanmon_pipeline.errors import PlanParseError

TEXT = """\
Limit  (cost=9.00..9.10 rows=5 width=8)
  ->  Hash Join  (cost=9.00..46.00 rows=360 width=8)
        Hash Cond: (o.customer_id = c.id)
        ->  Seq Scan on orders o  (cost=0.00..30.00 rows=360 width=12)
              Filter: (note <> 'a  |  b'::text)
        ->  Hash  (cost=6.00..6.00 rows=200 width=4)
              ->  Seq Scan on customers c  (cost=0.00..6.00 rows=200 width=4)"""
LINES = TEXT.splitlines()
NODE = {
    "Node Type": "Limit",
    "Plans": [
        {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Filter": "(a = 'x <y>')"}
    ],
}
JSON = json.dumps([{"Plan": NODE}], indent=2)
LOGGED = (
    "2026-01-01 10:00:00 UTC [7] LOG:  duration: 3.1 ms  plan:",
    "\tQuery Text: select 1",
    *(f"\t{x}" for x in LINES),
)


def tree(source):
    return [(one.name, one.role, one.relation, one.conditions) for one in parse_plan(source).operators()]


def records(lines, row="-[ RECORD {} ]----------\nQUERY PLAN | {}"):
    return "\n".join(row.format(number, line) for number, line in enumerate(lines, 1))


def cells(lines):
    rows = "".join(
        f'  <tr valign="top">\n    <td align="left">{escape(line).replace("  ", "&nbsp; ")}</td>\n  </tr>\n'
        for line in lines
    )
    return (
        f'<table border="1">\n  <tr>\n    <th align="center">QUERY PLAN</th>\n  </tr>\n{rows}</table>\n<p>(7 rows)</p>'
    )


def wrapped(line, width=40):
    parts = [line[start : start + width] for start in range(0, len(line), width)]
    return "\n".join(
        f"{'.' if number else ' '}{part}{'.' if number + 1 < len(parts) else ''}" for number, part in enumerate(parts)
    )


@pytest.mark.parametrize(
    "text",
    [
        records(LINES),
        records(LINES, "─[ RECORD {} ]──────────\nQUERY PLAN │ {}"),
        records(LINES, "+-[ RECORD {} ]-----+\n| QUERY PLAN | {} |"),
        records(LINES, "QUERY PLAN|{1}\n"),
        cells(LINES),
        f"<!doctype html><html><body><pre>{escape(TEXT)}</pre></body></html>",
        f"QUERY PLAN\n{'-' * 40}\n" + "\n".join(map(wrapped, LINES)) + "\n(7 rows)",
        json.dumps([{"QUERY PLAN": line} for line in LINES], indent=1),
        json.dumps({"explain select 1": [{"query plan": line} for line in LINES]}),
        "\n".join(LOGGED),
        "\n".join(f"db-1  | {line}" for line in LOGGED),
        "\n".join(f"Jan  1 10:00:00 db1 postgres[7]: [5-{n}] {x}" for n, x in enumerate(LOGGED)).replace("\t", "#011"),
        "\n".join(f"Jan 01 10:00:00 db1 postgres[7]: {line}" for line in LOGGED),
        json.dumps({"pid": 7, "message": f"duration: 3.1 ms  plan:\nQuery Text: select 1\n{TEXT}"}) + '\n{"pid":8}\n',
        "db | " + json.dumps({"logger": "postgres", "record": {"message": f"plan:\nQuery Text: select 1\n{TEXT}"}}),
    ],
    ids=[
        *("expanded", "expanded unicode", "expanded border", "expanded unaligned", "html", "page", "wrapped"),
        *("rows", "rows of a statement", "log", "compose", "syslog", "journal", "json log", "json log of an operator"),
    ],
)
def test_text_in_any_wrapping_is_the_same_plan(text):
    assert tree(text) == tree(TEXT)
    assert len(parse_plan(text).statements) == 1


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"QUERY PLAN": json.loads(JSON)}]),
        json.dumps([{"QUERY PLAN": JSON}]),
        json.dumps({"query": "select 1", "plan": JSON}),
        json.dumps([json.loads(JSON)]),
        cells([JSON.replace("\n", "<br />\n")]).replace("&lt;br /&gt;", "<br />"),
        records([JSON.replace("\n", " +\n           | ")]),
    ],
    ids=["driver", "driver as text", "tool", "rows", "html", "expanded"],
)
def test_json_in_any_wrapping_is_the_same_plan(text):
    assert tree(text) == tree(JSON)


def test_all_plans_of_a_log_are_read_behind_any_number_of_other_lines():
    noise = "".join(f"2026-01-01 10:00:00 UTC [{n}] x@y LOG:  statement: select '{{a}}'::text\n" for n in range(40))
    entry = "2026-01-01 10:00:01 UTC [7] LOG:  duration: 3 ms  plan:\n\t"
    logged = [json.dumps({"Query Text": f"select {n}", "Plan": NODE}, indent=1).replace("\n", "\n\t") for n in range(3)]
    plan = parse_pg_plan(noise + "".join(f"{entry}{one}\n{noise}" for one in logged))
    assert [one.text for one in plan.statements] == ["select 0", "select 1", "select 2"]


def test_a_plan_beside_a_cut_one_is_refused():
    with pytest.raises(PlanParseError, match="the last one in the text is cut off"):
        parse_pg_plan(f"{JSON}\n{JSON[:-30]}")


def test_rows_nested_too_deeply_are_refused():
    with pytest.raises(PlanParseError, match="nested"):
        parse_pg_plan('{"QUERY PLAN": ' + "[" * 100_000)
