import json

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.plans.stored import parse_plan, tree_of
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans.showplans import relop, showplan, statement, table

JSON = json.dumps([{"Plan": {"Node Type": "Seq Scan"}, "Query Text": "select '<ShowPlanXML />'"}])
XML = showplan(statement(relop("Table Scan", table("T"), detail="TableScan"), text="[{]"))


@pytest.mark.parametrize(
    ("text", "engine"),
    [(JSON, Engine.POSTGRES), (XML, Engine.SQLSERVER), (f"plan 7:\n{XML}", Engine.SQLSERVER)],
    ids=["json", "xml", "framed xml"],
)
def test_a_text_is_read_by_what_it_holds(text, engine):
    assert parse_plan(text).engine == engine


@pytest.mark.parametrize("text", ["", "hello", "<root/>", "{}"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(PlanParseError):
        parse_plan(text)


@pytest.mark.parametrize(
    "text",
    [
        "<explain><Query><Plan><Node-Type>Result</Node-Type></Plan></Query></explain>",
        '- Plan:\n    Node Type: "Result"\n    Startup Cost: 0.00',
        '<?xml version="1.0"?><explain><Plan><Node-Type>Result</Node-Type></Plan></explain>',
        "<table><tr><td>Result  (cost=0.00..0.01 rows=1 width=4)</td></tr></table>",
    ],
    ids=["XML", "YAML", "XML of a log", "HTML"],
)
def test_the_other_forms_of_explain_are_read(text):
    assert [operator.name for operator in parse_plan(text).operators()] == ["Result"]


@pytest.mark.parametrize(("form", "body", "engine"), [("pgjson", JSON, "postgres"), ("showplan", XML, "sqlserver")])
def test_a_captured_plan_is_read_by_its_format(form, body, engine):
    assert tree_of(CapturedPlan(1, 1, form, body)).engine == engine


@pytest.mark.parametrize(("form", "body"), [("", ""), ("pgjson", XML), ("showplan", JSON), ("other", XML)])
def test_a_captured_plan_that_cannot_be_read_has_no_tree(form, body):
    assert tree_of(CapturedPlan(1, 1, form, body)) is None
