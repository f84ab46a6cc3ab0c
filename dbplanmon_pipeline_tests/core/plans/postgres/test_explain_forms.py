"""EXPLAIN in YAML and XML form says what its JSON form says."""

import json

import pytest

from dbplanmon_pipeline.core.plans.postgres.explain_xml import xml_statements
from dbplanmon_pipeline.core.plans.postgres.explain_yaml import yaml_statements
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.redact import redact_pg_plan
from dbplanmon_pipeline.errors import PlanParseError

STATEMENT = {
    "Plan": {
        "Node Type": "Aggregate",
        "Strategy": "Mixed",
        "Parallel Aware": False,
        "Startup Cost": 1.5,
        "Total Cost": 20.25,
        "Plan Rows": 7,
        "Alias": "5",
        "Grouping Sets": [{"Hash Keys": [["a", "b"]]}, {"Group Keys": [[]]}],
        "Shared I/O Read Time": 0.125,
        "Workers": [{"Worker Number": 0, "Actual Rows": 3}],
        "Plans": [
            {
                "Node Type": "Seq Scan",
                "Parent Relationship": "Outer",
                "Relation Name": "orders",
                "One-Time Filter": "true",
                "Output": ["a", 'x || \'"]"\n- Node Type: "Result"\''],
                "Filter": "(note <> '<b> & it''s')",
            }
        ],
    },
    "Planning": {"Shared Hit Blocks": 3},
    "Settings": {"work_mem": "64kB"},
    "JIT": {"Functions": 2, "Options": {"Inlining": False}},
    "Execution Time": 1.75,
}
XML = """\
<explain xmlns="http://www.postgresql.org/2009/explain">
  <Query>
    <Plan>
      <Node-Type>Aggregate</Node-Type> <Strategy>Mixed</Strategy> <Parallel-Aware>false</Parallel-Aware>
      <Startup-Cost>1.5</Startup-Cost> <Total-Cost>20.25</Total-Cost> <Plan-Rows>7</Plan-Rows> <Alias>5</Alias>
      <Grouping-Sets>
        <Grouping-Set><Hash-Keys><Hash-Key><Item>a</Item><Item>b</Item></Hash-Key></Hash-Keys></Grouping-Set>
        <Grouping-Set><Group-Keys><Group-Key></Group-Key></Group-Keys></Grouping-Set>
      </Grouping-Sets>
      <Shared-I-O-Read-Time>0.125</Shared-I-O-Read-Time>
      <Workers><Worker><Worker-Number>0</Worker-Number><Actual-Rows>3</Actual-Rows></Worker></Workers>
      <Plans>
        <Plan>
          <Node-Type>Seq Scan</Node-Type> <Parent-Relationship>Outer</Parent-Relationship>
          <Relation-Name>orders</Relation-Name> <One-Time-Filter>true</One-Time-Filter>
          <Output><Item>a</Item><Item>x || '"]"
- Node Type: "Result"'</Item></Output>
          <Filter>(note &lt;&gt; '&lt;b&gt; &amp; it''s')</Filter>
        </Plan>
      </Plans>
    </Plan>
    <Planning><Shared-Hit-Blocks>3</Shared-Hit-Blocks></Planning>
    <Settings><work_mem>64kB</work_mem></Settings>
    <JIT><Functions>2</Functions><Options><Inlining>false</Inlining></Options></JIT>
    <Execution-Time>1.75</Execution-Time>
  </Query>
</explain>
"""
YAML = """\
- Plan: 
    Node Type: "Aggregate"
    Strategy: "Mixed"
    Parallel Aware: false
    Startup Cost: 1.5
    Total Cost: 20.25
    Plan Rows: 7
    Alias: "5"
    Grouping Sets: 
      - Hash Keys: 
          - ["a", "b"]
      - Group Keys: 
          - []
    Shared I/O Read Time: 0.125
    Workers: 
      - Worker Number: 0
        Actual Rows: 3
    Plans: 
      - Node Type: "Seq Scan"
        Parent Relationship: "Outer"
        Relation Name: "orders"
        One-Time Filter: "true"
        Output: 
          - "a"
          - "x || '\\"]\\"\\n- Node Type: \\"Result\\"'"
        Filter: "(note <> '<b> & it''s')"
  Planning: 
    Shared Hit Blocks: 3
  Settings: 
    work_mem: "64kB"
  JIT: 
    Functions: 2
    Options: 
      Inlining: false
  Execution Time: 1.75
"""  # noqa: W291 - PostgreSQL leaves a blank behind a name that has more below it.


@pytest.mark.parametrize(("read", "text"), [(xml_statements, XML), (yaml_statements, YAML)], ids=["XML", "YAML"])
def test_all_that_is_said_is_told_as_in_json(read, text):
    assert read(text) == [STATEMENT]
    assert read(f"QUERY PLAN\n-----\n{text}\n(1 row)\n{text}") == [STATEMENT, STATEMENT]
    assert read("Seq Scan on orders") == []


def framed(text):
    width = max(map(len, text.splitlines()))
    return " QUERY PLAN\n-----\n" + "\n".join(f" {line:{width}}+" for line in text.splitlines()) + "\n(1 row)\n"


@pytest.mark.parametrize("text", [XML, YAML], ids=["XML", "YAML"])
@pytest.mark.parametrize(
    "wrap",
    [
        framed,
        lambda text: 'QUERY PLAN\n"' + text.replace('"', '""') + '"\n',
        lambda text: "\n".join(f"| {line} |" for line in text.splitlines()),
        lambda text: json.dumps([{"QUERY PLAN": text}]),
        lambda text: "LOG:  duration: 3 ms  plan:\n" + "".join(f"\t{line}\n" for line in text.splitlines()),
        lambda text: json.dumps({"message": f"duration: 3 ms  plan:\n{text}"}),
    ],
    ids=["psql", "csv", "border", "driver", "log", "json log"],
)
def test_a_wrapping_changes_nothing(wrap, text):
    (statement,) = parse_pg_plan(wrap(text)).statements
    assert [one.name for one in statement.operators()] == ["Aggregate", "Seq Scan"]
    assert statement.plan_hash == parse_pg_plan([STATEMENT]).statements[0].plan_hash
    assert statement.root.children[0].relation == "orders"


def test_plans_of_a_log_in_yaml_end_where_the_next_begins():
    entry = 'duration: 3 ms  plan:\nQuery Text: "select {}"\nPlan: \n  Node Type: "Result"\n'
    statements = yaml_statements(entry.format(1) + entry.format(2))
    assert statements == [{"Query Text": f"select {n}", "Plan": {"Node Type": "Result"}} for n in (1, 2)]


def test_a_plan_of_a_log_in_xml_has_its_statement_beside_it():
    text = "<explain>\n<Query-Text>select 1</Query-Text>\n<Plan><Node-Type>Result</Node-Type></Plan>\n</explain>"
    assert xml_statements(text) == [{"Query Text": "select 1", "Plan": {"Node Type": "Result"}}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (XML[:-20], "cut off; it does not end in </explain>"),
        (XML.replace("</Strategy>", ""), "XML is damaged"),
        (YAML.replace('"Aggregate"', '"Aggregate'), "a string .* is cut off"),
        (YAML.replace("        Parent", "            Parent"), "broken or not indented"),
    ],
    ids=["cut XML", "damaged XML", "open string", "indents"],
)
def test_what_is_damaged_is_refused_in_one_line(text, expected):
    with pytest.raises(PlanParseError, match=expected) as refused:
        parse_pg_plan(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", [XML, YAML], ids=["XML", "YAML"])
def test_no_value_survives_redaction(text):
    redacted = json.dumps(redact_pg_plan(text.replace("it''s", "secret").replace("a</Item>", "'secret'</Item>")))
    assert "secret" not in redacted
    assert "orders" in redacted
