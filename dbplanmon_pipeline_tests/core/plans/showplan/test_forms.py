"""Showplans as real tools hand them over: in grids, cells, sessions of events, batches, and of versions to come."""

import codecs
import json
from html import escape

import pytest

from dbplanmon_pipeline.core.plans.encoding import plan_text
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.showplan.redact import redact_showplan
from dbplanmon_pipeline.core.plans.stored import parse_plan
from dbplanmon_pipeline.core.plans.tree import NodeKind
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans.findings.made_up import ran
from dbplanmon_pipeline_tests.core.plans.showplans import (
    FOLDER,
    MISSING,
    element,
    entries,
    relop,
    showplan,
    statement,
    table,
    text_of,
)

SCAN = relop("Table Scan", table("T"), detail="TableScan")
ONE = showplan(statement(SCAN, text="select 'a\nb' where x < 1 and y = \"z\"", QueryHash="0x7B"))
TWO = showplan(statement(relop("Sort", SCAN, detail="Sort"), text="select 2"), statement(SCAN, text="select 3"))


def event(plan):
    value = element("value", plan)
    return element("event", element("data", value, name_="showplan_xml"), name_="query_post_execution_showplan")


@pytest.mark.parametrize(
    "text",
    [
        '"' + ONE.replace('"', '""') + '"',
        f'id,query_plan\r\n7,"{ONE.replace(chr(34), chr(34) * 2)}"\r\n',
        json.dumps([{"query_id": 7, "query_plan": ONE}]),
        json.dumps(ONE).replace("/", "\\/"),
        event(ONE),
        element("value", escape(ONE)),
        f"<?query --\nselect 1\n--?>{ONE}",
        f"Plan\n----\n{ONE}\n\n(1 row affected)",
        "select 'a' option (use plan N'" + ONE.replace("'", "''") + "')",
        '@hints = N\'<?xml version="1.0"?>\n' + ONE.replace("'", "''") + "'",
        f"<!DOCTYPE html><html><body><pre>{escape(ONE)}</pre></body></html>",
        escape(escape(ONE)),
        escape(ONE).replace("&lt;", "&#60;").replace("&gt;", "&#x3E;"),
        json.dumps({"query_plan": ONE}).replace("<", "\\u003c").replace(">", "\\u003E"),
        f"<PlanGuide><![CDATA[{ONE}]]></PlanGuide>",
        f'id,event_data\r\n1,"{element("value", escape(ONE, quote=False)).replace(chr(34), chr(34) * 2)}"\r\n',
        element("value", escape(ONE.replace("Version=", 'Nothing="" Version='), quote=False)),
    ],
    ids=[
        *("cell", "csv", "json", "json slashes", "event", "escaped", "behind a query", "grid", "hint", "guide"),
        *("web page", "escaped twice", "escaped by numbers", "json of PowerShell", "cdata", "escaped in a cell"),
        "escaped with an empty attribute",
    ],
)
def test_a_plan_in_another_wrapping_is_the_same_plan(text):
    assert parse_plan(text).statements == parse_showplan(ONE).statements


@pytest.mark.parametrize("between", ["", "\n", "\r\n(3 rows affected)\r\n", '<?xml version="1.0"?>'])
def test_the_plans_of_a_batch_are_read_one_after_the_other(between):
    plan = parse_showplan(f"{ONE}{between}{TWO}{between}{ONE}")
    assert [one.text for one in plan.statements][1:3] == ["select 2", "select 3"]
    assert (plan.counts["statements"], plan.counts["operators"]) == (4, 5)
    assert plan.counts["operators"] == sum(1 for _ in plan.operators())


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"plan": ONE}, {"plan": None}, {"plan": TWO}]),
        json.dumps([{"plan": ONE}, {"plan": TWO}]).replace("<", "\\u003C"),
        "".join(f'{number},"{plan.replace(chr(34), chr(34) * 2)}"\r\n' for number, plan in enumerate((ONE, TWO))),
        f"id\tplan\r\n1\tNULL\r\n2\t{ONE}\r\n3\t{TWO}\r\n",
        f"<Events>{element('Event', escape(ONE))}{element('Event', escape(TWO))}</Events>",
    ],
    ids=["json", "json of PowerShell", "csv", "tsv", "trace"],
)
def test_each_row_of_a_result_is_read(text):
    assert [one.text for one in parse_plan(text).statements][1:] == ["select 2", "select 3"]


def test_the_plans_of_several_events_are_read_and_redacted():
    text = f"<events>{event(ONE)}{event(TWO)}</events>"
    assert parse_showplan(redact_showplan(text)).counts == parse_showplan(text).counts
    assert parse_showplan(text).counts["statements"] == 3


def test_a_batch_whose_last_plan_is_cut_off_is_refused():
    with pytest.raises(PlanParseError, match="cut off at line"):
        parse_showplan(f"{ONE}\n{TWO[:-40]}")


def test_a_closing_tag_before_the_plan_does_no_harm():
    assert parse_showplan(f"</ShowPlanXML>{ONE}</ShowPlanXML>").counts["statements"] == 1
    with pytest.raises(PlanParseError):
        parse_showplan("</ShowPlanXML><ShowPlanXML ShowPlanXML")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<?query --\nselect 1\n--?>", "text of a statement"),
        ("<?ClickMe select 1 ?>", "text of a statement"),
        ("StmtText\n  |--Clustered Index Scan(OBJECT:([Shop].[dbo].[T].[PK]))", "SHOWPLAN_TEXT"),
        ("NULL", "no execution plan"),
        (ONE.replace("Showplan", "showplan").replace(' xmlns="http', ' a="http'), "namespace"),
        (ONE[: len(ONE) // 2], "cut off at line 2"),
        ('"' + ONE[: len(ONE) // 2].replace('"', '""'), "cut off"),
        (json.dumps(ONE)[: len(ONE) // 2], "cut off"),
        ("\ufffd" + ONE.replace("<BatchSequence>", "<BatchSequence \0>"), "damaged"),
        ("<deadlock-list><deadlock/></deadlock-list>", "a deadlock graph"),
        ("<TextData><blocked-process-report/></TextData>", "a blocked process"),
        ('<event name="rpc_completed"><data name="statement"/></event>', "no event in this has a plan"),
        (ONE[ONE.index("<StmtSimple") : ONE.index("</Statements>")], "only a part of a plan"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + ONE, "a document type"),
    ],
    ids=[
        *("query", "click me", "text form", "null", "no namespace", "cut", "cut cell", "cut json", "nul"),
        *("deadlock", "blocked", "event", "part", "document type"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_clear_line(text, expected):
    with pytest.raises(PlanParseError, match=expected) as refused:
        parse_plan(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="utf-16"?>\r\n', '<?xml version="1.0"?>'])
@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-le"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 marked", "utf-16 as SSMS saves it", "utf-16 unmarked", "utf-16 big"],
)
def test_a_file_of_ssms_is_read_whatever_its_encoding_and_declaration(declared, encode):
    assert parse_plan(plan_text(encode(declared + ONE))).statements == parse_showplan(ONE).statements


def dispatched(*predicates):
    query = element("QueryPlan", SCAN, QueryVariantID=7)
    head = "StmtSimple"
    said = {"StatementText": "select 1", "StatementType": "SELECT"}
    return showplan(element(head, element("Dispatcher", *predicates), query, **said))


IS_NULL = element("Predicate", element("ScalarOperator", ScalarString="[@p] IS NULL"))
SENSITIVE = element(
    "ParameterSensitivePredicate",
    element("StatisticsInfo", Schema="[dbo]", Table="[T]", Statistics="[IX]", ModificationCount=7),
    element("Predicate", element("ScalarOperator", ScalarString="[T].[a]=[@p]")),
    LowBoundary=100,
    HighBoundary=1000000,
)
NEW_OPERATOR = relop("Vector Index Seek", table("T", "VX"), detail="VectorIndexScan", Metric="cosine")
FORMS = {
    "parameter-sensitive dispatcher": (dispatched(SENSITIVE), 1),
    "optional-parameter dispatcher": (dispatched(*[element("OptionalParameterPredicate", IS_NULL)] * 3), 1),
    "an operator nobody knows": (showplan(statement(relop("Sort", NEW_OPERATOR, detail="Sort"))), 2),
    "ledger": (showplan(statement(relop("Clustered Index Insert", table("L"), SCAN, LedgerXType="append"))), 2),
    "graph match": (
        showplan(
            statement(
                relop(
                    "Index Seek",
                    element("Object", Table="[#g]", GraphWorkTableType="Frontier", GraphWorkTableIdentifier=1),
                )
            )
        ),
        1,
    ),
    "external table": (
        showplan(statement(relop("External Select", element("Put", SCAN), detail="ExternalSelect", RemoteSource="x"))),
        2,
    ),
    "columnstore with delete buffer": (
        showplan(
            statement(
                relop(
                    "Columnstore Index Delete",
                    element("Object", Table="[T]", Index="[CCI]", IndexKind="DeleteBuffer", Storage="ColumnStore"),
                    SCAN,
                    detail="Update",
                )
            )
        ),
        2,
    ),
    "function with a plan of its own": (
        showplan(
            statement(SCAN).replace(
                "</StmtSimple>", f"<UDF ProcName='f'><Statements>{statement(SCAN)}</Statements></UDF></StmtSimple>"
            )
        ),
        2,
    ),
    "threads without figures": (showplan(statement(relop("Sort", SCAN, detail="Sort", beside=ran(1, 2, 3)))), 2),
    "measured without any thread": (
        showplan(statement(relop("Sort", SCAN, detail="Sort", beside="<RunTimeInformation/>"))),
        2,
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_the_corpus_lacks_are_counted_by_descent(form):
    text, operators = FORMS[form]
    plan = parse_showplan(text)
    assert plan.counts["operators"] == operators == sum(1 for _ in plan.operators())
    assert plan.counts["statements"] == len(plan.statements)
    assert parse_showplan(redact_showplan(text)).counts == plan.counts


def test_an_operator_nobody_knows_keeps_its_name_and_its_place():
    (sort,) = [one.root for one in parse_showplan(FORMS["an operator nobody knows"][0]).statements]
    (seek,) = sort.children
    assert (seek.kind, seek.name, seek.index) == (NodeKind.OTHER, "Vector Index Seek", "VX")


def test_a_dispatcher_loses_the_values_of_its_predicates():
    predicate = element("OptionalParameterPredicate", IS_NULL.replace("NULL", "'secret'"))
    assert "secret" not in redact_showplan(dispatched(predicate))


@pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)
@pytest.mark.parametrize("wrap", [lambda text: '"' + text.replace('"', '""') + '"', json.dumps], ids=["cell", "json"])
def test_real_plans_are_the_same_in_a_cell_and_in_json(wrap):
    texts = [text_of(found.values[0]) for found in entries()[::12]]
    assert len(texts) > 15
    for text in texts:
        bare = text[text.index("<ShowPlanXML") :] if "<ShowPlanXML" in text else text
        assert parse_plan(wrap(bare)).counts == parse_showplan(text).counts
