"""Real SQL Server plans that lie beside the checkout, and small ones written here."""

import json
from html import escape
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.plans.encoding import plan_text

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "showplans"
NAMESPACE = "http://schemas.microsoft.com/sqlserver/2004/07/showplan"
MISSING = "../shared/data/showplans is not here"


def entries(*, valid=True):
    """One pytest parameter per file of the corpus; one skipped parameter where it is absent."""
    manifest = FOLDER / "MANIFEST.jsonl"
    if not manifest.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=MISSING))]
    lines = manifest.read_text(encoding="utf-8").splitlines()
    return [
        pytest.param(entry, id=entry["file"]) for entry in map(json.loads, lines) if entry["valid_showplan"] == valid
    ]


def text_of(entry):
    return plan_text((FOLDER / entry["file"]).read_bytes())


def text_named(part):
    """The text of the one file whose name holds `part`."""
    (path,) = FOLDER.glob(f"*/*{part}*")
    return plan_text(path.read_bytes())


def element(name, *children, **attributes):
    """One XML element; an underscore at the end of an attribute name is dropped."""
    said = "".join(f' {key.rstrip("_")}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{said}>{''.join(children)}</{name}>"


def relop(physical, *inner, detail="IndexScan", logical=None, cost=1.0, rows=1, parallel=0, beside="", **attributes):
    """A RelOp; `inner` stands in its detail element, `beside` in front of that."""
    return element(
        "RelOp",
        "<OutputList/>",
        beside,
        element(detail, *inner, **attributes),
        PhysicalOp=physical,
        LogicalOp=logical or physical,
        EstimateRows=rows,
        EstimatedTotalSubtreeCost=cost,
        AvgRowSize=9,
        Parallel=parallel,
    )


def table(name, index="", alias=""):
    said = {"Database": "[Shop]", "Schema": "[dbo]", "Table": f"[{name}]"}
    said |= {"Index": f"[{index}]"} if index else {}
    said |= {"Alias": f"[{alias}]"} if alias else {}
    return element("Object", **said)


def statement(*query_plan, kind="SELECT", text="select 1", options=None, name="StmtSimple", plan=None, **attributes):
    """A statement; `query_plan` stands in its QueryPlan, whose attributes are `plan`."""
    inner = element("StatementSetOptions", **options) if options else ""
    if query_plan:
        inner += element("QueryPlan", *query_plan, **(plan or {}))
    return element(name, inner, StatementText=text, StatementType=kind, **attributes)


def showplan(*statements, namespace=NAMESPACE, build="16.0.4222.2"):
    return (
        f'<ShowPlanXML xmlns="{namespace}" Version="1.564" Build="{build}"><BatchSequence><Batch>'
        f"{element('Statements', *statements)}</Batch></BatchSequence></ShowPlanXML>"
    )
