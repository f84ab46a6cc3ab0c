import re
from dataclasses import replace
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.showplan.redact import redact_showplan
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans.showplans import element, entries, relop, showplan, statement, table, text_of

QUOTED_ON = {"QUOTED_IDENTIFIER": "true"}


def redacted(*inner, **attributes):
    return redact_showplan(
        showplan(statement(*inner, relop("Table Scan", table("T 1"), detail="TableScan"), **attributes))
    )


def shape(plan):
    """What redaction must keep of a plan."""
    return [
        (
            one.kind,
            one.query_hash,
            one.plan_hash,
            one.missing_indexes,
            [warning.kind for warning in one.warnings],
            [(part.name, part.data_type) for part in one.parameters],
            [
                replace(
                    operator,
                    conditions=tuple(name for name, _ in operator.conditions),
                    children=(),
                    warnings=(),
                    attributes={},
                )
                for operator in one.operators()
            ],
        )
        for one in plan.statements
    ]


@pytest.mark.parametrize("entry", entries())
def test_real_plans_keep_their_shape_and_lose_every_quoted_literal(entry):
    text = text_of(entry)
    safe = redact_showplan(text)
    before, after = parse_showplan(text), parse_showplan(safe)
    assert after.counts == before.counts
    assert shape(after) == shape(before)
    assert redact_showplan(safe) == safe
    values = [value for found in etree.fromstring(safe).iter() for value in found.attrib.values()]
    outside_names = (re.sub(r'\[(?:[^\]]|\]\])*\]|"[^"]*"', "", value) for value in values)
    assert not [value for value in outside_names if "'" in value]


@pytest.mark.parametrize("entry", entries())
def test_no_value_of_a_real_constant_or_parameter_survives(entry):
    text = text_of(entry)
    safe = etree.fromstring(redact_showplan(text))
    for name in ("ConstValue", "ParameterCompiledValue", "ParameterRuntimeValue", "RemoteQuery"):
        assert {found.get(name, "?") for found in safe.iter()} <= {"?"}


@pytest.mark.parametrize(
    ("name", "given_value", "kept"),
    [
        ("StatementText", "select 'x', 5 from t1", "select ?, ? from t1"),
        ("StatementText", 'select "secret"', "select ?"),
        ("QueryHash", "0x0FF1", "0x0FF1"),
        ("QueryHash", "secret", "?"),
        ("StatementSqlHandle", "0x0900282C5D932C7D34CA55A3EBC186DE76A5", "?"),
        ("StatementEstRows", "1e-007", "1e-007"),
        ("StatementEstRows", "1; secret", "?"),
        ("RetrievedFromCache", "true", "true"),
        ("RetrievedFromCache", "secret", "?"),
        ("StatementOptmEarlyAbortReason", "GoodEnoughPlanFound", "GoodEnoughPlanFound"),
        ("StatementOptmLevel", "it's", "?"),
        ("PlanGuideName", "Guide 1", "Guide 1"),
        ("SomethingNew", "secret", "?"),
    ],
)
def test_each_attribute_keeps_only_what_it_may_hold(name, given_value, kept):
    said = {name: given_value} if name != "StatementText" else {"text": given_value}
    found = etree.fromstring(redacted(**said)).find(".//{*}StmtSimple")
    assert found.get(name) == kept


def test_double_quotes_hold_names_where_the_plan_says_so():
    assert "&quot;name&quot;" in redacted(text='select "name"', options=QUOTED_ON).replace('"name"', "&quot;name&quot;")
    assert "name" not in redacted(text='select "name"', options={"QUOTED_IDENTIFIER": "false"})


@pytest.mark.parametrize(
    ("source", "is_kept"),
    [("SRV1", True), ("srv-1.example", True), (r"HOST\SQL1", True), ("Server=x;Pwd=secret", False), ("a b", False)],
)
def test_a_linked_server_keeps_its_name_and_loses_a_connection_text(source, is_kept):
    safe = redacted(element("RemoteQuery", RemoteSource=source, RemoteQuery="SELECT 'secret'"))
    assert (source in safe) == is_kept
    assert "secret" not in safe


def test_unknown_elements_texts_and_foreign_attributes_are_masked_whole():
    safe = redacted(
        element("NewThing", "secret", element("Object", Table="[kept]"), Column="secret", Table="secret"),
        '<Object xmlns:x="urn:x" x:Table="secret"/>secret<!-- secret --><?secret secret?>',
        element("InternalInfo", "secret", Column="secret"),
    )
    assert "secret" not in safe
    assert "kept" in safe


def test_the_values_a_top_and_a_convert_carry_are_masked():
    safe = redacted(element("TopSort", Rows="1234567"), element("Convert", Style="7654321", DataType="nvarchar(200)"))
    assert "1234567" not in safe
    assert "7654321" not in safe
    assert 'DataType="nvarchar(200)"' in safe


def test_what_is_no_plan_is_refused():
    with pytest.raises(PlanParseError):
        redact_showplan("secret")


VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12).map(
    lambda text: f"zq{text.replace(']', '')}qz"
)
PLACES = {
    "ParameterCompiledValue": lambda literal: element("ColumnReference", ParameterCompiledValue=literal),
    "ParameterRuntimeValue": lambda literal: element("ColumnReference", ParameterRuntimeValue=literal),
    "ConstValue": lambda literal: element("Const", ConstValue=literal),
    "ScalarString": lambda literal: element("ScalarOperator", ScalarString=f"[t].[c 1]={literal} OR [d]=(1)"),
    "Expression": lambda literal: element("PlanAffectingConvert", Expression=f"CONVERT(int,{literal},0)"),
    "RemoteQuery": lambda literal: element("RemoteQuery", RemoteQuery=f"SELECT {literal}", RemoteObject=literal),
    "ParameterizedText": lambda literal: element("StmtSimple", ParameterizedText=f"select {literal}"),
    "comment": lambda literal: element("ScalarOperator", ScalarString=f"1 /* {literal} */"),
    "unknown attribute": lambda literal: element("RelOp", Fresh=literal),
    "unknown element": lambda literal: element("Fresh", Column=literal),
    "text": lambda literal: element("RelOp", escape(literal)),
    "tail": lambda literal: element("RelOp") + escape(literal),
    "cut off": lambda literal: element("ScalarOperator", ScalarString=f"a = {literal[:-1]}"),
}


@pytest.mark.parametrize("place", PLACES)
@given(value=VALUES, prefix=st.sampled_from(["", "N"]), options=st.sampled_from([None, QUOTED_ON]))
@settings(max_examples=40, deadline=None)
def test_no_planted_value_survives(place, value, prefix, options):
    literal = prefix + "'" + value.replace("'", "''") + "'"
    safe = redacted(PLACES[place](literal), text=f"select * from t where a = {literal}", options=options)
    assert "zq" not in safe
    assert parse_showplan(safe).counts["statements"] >= 1


@given(number=st.integers(10_000_000, 10**15))
@settings(max_examples=40, deadline=None)
def test_no_planted_number_survives(number):
    places = [PLACES[place](str(number)) for place in ("ConstValue", "ScalarString", "Expression", "unknown attribute")]
    assert str(number) not in redacted(*places, text=f"select * from t1 where a = {number} or b = 0x{number}")
