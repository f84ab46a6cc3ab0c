"""Showplans as other versions, odd servers and other programs might write them."""

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from html import escape

from hypothesis import strategies as st
from lxml import etree

from dbplanmon_pipeline.core.plans.showplan.elements import MARK as NAMESPACE_MARK
from dbplanmon_pipeline.core.plans.showplan.vocabulary import ELEMENTS, NUMBERS
from dbplanmon_pipeline.providers.simulated.plans import plan_text
from dbplanmon_pipeline_tests.core.plans import showplans
from dbplanmon_pipeline_tests.core.plans.findings import test_sqlserver
from dbplanmon_pipeline_tests.fuzz.plan_mutations import Seed, numbered
from dbplanmon_pipeline_tests.fuzz.planted_plans import is_free

PIECES = (
    *("<", ">", "/>", "</RelOp>", "<RelOp>", '="', '"', "&#x1F;", "&amp;", "&#0;", "]]>", "<![CDATA[", "<!--", "-->"),
    *(
        "<?query --",
        "--?>",
        '<?xml version="1.0" encoding="utf-16"?>',
        "\ufeff",
        "\0",
        "<ShowPlanXML",
        "</ShowPlanXML>",
    ),
    *("<RelOp/>", "<Warnings/>", '<Warnings NoJoinPredicate="1"/>', "<MissingIndexes/>", "<Fresh a='1'/>", "<a>" * 600),
    *("-1", "1e308", "NaN", "0x", "[", "]", "'", "CONVERT_IMPLICIT(", "OPTION((", "@p1", "<!DOCTYPE a>", "&undefined;"),
    *('<Object Table="[T]"/>', '<RunTimeInformation><RunTimeCountersPerThread Thread="0"/></RunTimeInformation>'),
)
_ODD_VALUES = ("", "-1", "0", "1", "1e308", "-1e308", "NaN", "true", "x", "[", "[]", "[a].[b]=(1)", "@p1", "OPTION((")
_ODD_NUMBERS = (
    "-1",
    "0",
    "1",
    "1e308",
    "-1e308",
    "1e-308",
    "NaN",
    "inf",
    "1e999",
    "9" * 400,
    "0x10",
    " 5",
    "1_000",
    "٣",
)
_ODD_NAMES = (
    "Lookup",
    "ManyToMany",
    "Parallel",
    "EstimateRebinds",
    "EstimateRows",
    "PhysicalOp",
    "LogicalOp",
    "Impact",
)
_KINDS = ("set", "set", "set number", "copy", "add", "drop", "rename", "remove", "double", "nest", "swap", "unwrap")
_RELOP = f"{NAMESPACE_MARK}RelOp"

_Change = tuple[str, bool, int, int, str]
"""What is done; whether to an operator or to any element; which one, and which other; a value."""

_LEVELS = st.one_of(st.integers(1, 40), st.integers(40, 500), st.integers(1_030, 2_500))
"""From 1,024 on, two elements in each are deeper than XML is read."""


@cache
def seeds() -> tuple[Seed, ...]:
    """Made-up plans, and the real ones where they lie beside the checkout."""
    made_up = [plan_text(number, number % 3, 1_700_000_000_000_000, None) for number in range(6)]
    made_up += [text for _, *texts in test_sqlserver.CASES for text in texts]
    real = [showplans.text_of(found.values[0]) for found in showplans.entries() if found.values[0]]
    return numbered(filter(is_free, [*made_up, *real]))


def tree_of(text: str) -> etree._Element:
    """The elements of a seed."""
    return etree.fromstring(text[text.index("<ShowPlanXML") :].encode())


def reshaped() -> st.SearchStrategy[str]:
    """Plans after changes that leave them XML."""
    value = st.one_of(
        st.sampled_from(_ODD_VALUES), st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40)
    )
    change = st.tuples(st.sampled_from(_KINDS), st.booleans(), st.integers(0, 10**6), st.integers(0, 10**6), value)
    return st.builds(_reshaped, st.sampled_from(seeds()), st.lists(change, min_size=1, max_size=16))


def _reshaped(text: str, changes: Sequence[_Change]) -> str:
    root = tree_of(text)
    for kind, of_operators, place, other, value in changes:
        elements = list(root.iter(_RELOP)) if of_operators else []
        elements = elements or [element for element in root.iter() if isinstance(element.tag, str)]
        _change(kind, elements[place % len(elements)], elements[other % len(elements)], other, value)
    return etree.tostring(root, encoding="unicode")


def _change(kind: str, chosen: etree._Element, goal: etree._Element, other: int, value: str) -> None:
    above, names = chosen.getparent(), chosen.keys()
    name = str(names[other % len(names)]) if names else "Fresh"
    if kind == "set":
        chosen.set(name, value)
    elif kind == "set number":
        figures = [one for one in names if one in NUMBERS]
        chosen.set(str(figures[other % len(figures)]) if figures else name, _ODD_NUMBERS[other % len(_ODD_NUMBERS)])
    elif kind == "copy":
        chosen.attrib.update(dict(goal.attrib))
    elif kind == "add":
        chosen.set(_ODD_NAMES[other % len(_ODD_NAMES)], value)
    elif kind == "drop" and names:
        del chosen.attrib[name]
    elif kind == "rename":
        chosen.tag = goal.tag if other % 3 else f"{NAMESPACE_MARK}{sorted(ELEMENTS)[other % len(ELEMENTS)]}"
    elif kind == "double":
        goal.append(deepcopy(chosen))
    elif above is not None:
        _move(kind, chosen, goal, above)


def _move(kind: str, chosen: etree._Element, goal: etree._Element, above: etree._Element) -> None:
    if kind == "remove":
        above.remove(chosen)
    elif kind == "unwrap":
        for child in list(chosen):
            chosen.addprevious(child)
        above.remove(chosen)
    elif not any(one is chosen for one in goal.iterancestors()) and goal is not chosen:
        if kind == "nest":
            goal.append(chosen)
        elif kind == "swap" and not any(one is goal for one in chosen.iterancestors()):
            goal.addprevious(chosen)


_JOIN = '<RelOp PhysicalOp="{0}" LogicalOp="Inner Join" EstimateRows="9" EstimatedTotalSubtreeCost="100"><{1}>'
_INPUT = (
    '<RelOp PhysicalOp="Index Seek" LogicalOp="Index Seek" EstimateRows="7" EstimatedTotalSubtreeCost="1">'
    '<IndexScan><Object Schema="[dbo]" Table="[T]" Index="[i]" Alias="[t]"/></IndexScan></RelOp>'
)
_BESIDE = ("", _INPUT)


def _level(begin: str) -> tuple[str, str]:
    """The begin and the end of one level, from its opening tags."""
    return begin, "".join(f"</{name}>" for name in reversed(re.findall(r"<(\w+)", begin)))


_LEVELS_OF = tuple(
    _level(begin)
    for begin in (
        _JOIN.format("Nested Loops", "NestedLoops"),
        _JOIN.format("Hash Match", "Hash"),
        _JOIN.format("Merge Join", "Merge"),
        _JOIN.format("Table Spool", "Spool"),
        _JOIN.format("Sort", "Sort"),
        _JOIN.format("Parallelism", "Parallelism"),
        _JOIN.format("Index Seek", "IndexScan"),
        '<StmtCond StatementText="if 1=1" StatementType="COND"><Then><Statements>',
        '<StmtSimple StatementText="select 1" StatementType="SELECT"><QueryPlan>',
        '<StmtSimple StatementText="exec p"><StoredProc ProcName="p"><Statements>',
        '<Predicate><ScalarOperator ScalarString="[a]=(1)">',
        '<SeekPredicates><SeekPredicateNew><SeekKeys><Prefix ScanType="EQ"><RangeColumns>',
        "<Subquery>",
        '<Warnings NoJoinPredicate="1">',
        '<MissingIndexes><MissingIndexGroup Impact="99"><MissingIndex Table="[T]">',
        "<Fresh>",
    )
)


def deep() -> st.SearchStrategy[str]:
    """A few elements within each other many times over, most of them operators."""
    levels = st.lists(
        st.tuples(st.one_of(st.sampled_from(_LEVELS_OF[:7]), st.sampled_from(_LEVELS_OF)), st.sampled_from(_BESIDE)),
        min_size=1,
        max_size=5,
    )
    return st.builds(_nested, levels, _LEVELS, st.sampled_from((_INPUT, "", "<RelOp/>")), st.booleans())


def _nested(levels: Sequence[tuple[tuple[str, str], str]], depth: int, innermost: str, in_statement: bool) -> str:
    opened = [levels[number % len(levels)] for number in range(depth)]
    begin = "".join(f"{one}{beside}" for (one, _), beside in opened)
    end = "".join(one for (_, one), _ in reversed(opened))
    body = f"{begin}{innermost}{end}"
    if in_statement:
        body = showplans.statement(body, StatementSubTreeCost=100, StatementEstRows=9)
    return showplans.showplan(body)


def wrapped(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Plans as files hold them: with a head, several in one, or as a value of another format."""
    return st.builds(lambda wrap, text: wrap(text), st.sampled_from(WRAPPINGS), texts)


WRAPPINGS = (
    lambda text: text,
    lambda text: f'<?xml version="1.0" encoding="utf-16"?>\r\n{text}',
    lambda text: f"SQL Server Execution Times:\n{text}\n(1 row affected)\n{text}",
    lambda text: json.dumps({"plan": text}),
    lambda text: f"<event><value>{escape(text)}</value></event>",
    lambda text: '1,"' + text.replace('"', '""') + '"\r\n',
)
