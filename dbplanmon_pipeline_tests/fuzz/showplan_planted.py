"""Showplans with a value in every attribute and text that can carry one, and in those in which servers write them."""

from collections.abc import Callable, Sequence
from html import escape

from hypothesis import strategies as st
from lxml import etree

from dbplanmon_pipeline.core.plans.showplan.elements import MARK as NAMESPACE_MARK
from dbplanmon_pipeline.core.plans.showplan.vocabulary import EXPRESSIONS, NAMES, SOURCES, TYPES, WORDS
from dbplanmon_pipeline_tests.fuzz.planted_plans import (
    Literal,
    PlantedPlan,
    block_comment,
    by_servers,
    everywhere,
    line_comment,
    lures,
    numbers,
    open_string,
    strings_of,
    texts,
)
from dbplanmon_pipeline_tests.fuzz.showplan_forms import WRAPPINGS, seeds, tree_of

_CLOSED = texts((strings_of("'"), strings_of("'", "N"), strings_of("'", "n"), block_comment, line_comment))
_NUMBERS = numbers(("#", "0x#", "0x#AB", "#.#e+10", "$#", "-#", "(#)", "#.", "1e-#", "£#.00"))
_LURES = lures(
    (
        *(
            "[@#]",
            "OPTION (FAST #)",
            "OPTION (# JOIN, HASH JOIN)",
            "lower([#].[#])",
            "CONVERT_IMPLICIT(int,[#].[#],0)=1",
        ),
        *(
            "[#].[#].[#] as [#].[#]",
            "#.#",
            "[t].[#] = [@p]",
            "OPTION (OPTIMIZE FOR (@# UNKNOWN))",
            "exec sp_executesql N#",
        ),
    )
)
_LITERALS = st.one_of(_CLOSED, _NUMBERS, _LURES, texts((open_string,)))
_AS_LITERAL = WORDS | TYPES | SOURCES
"""Attributes that keep a plain word, so that only a literal among them is a value."""

# A string that is not closed ends with the next quote, so each form has the literal once, before anything of the seed.
_EXPRESSIONS: tuple[Callable[[str, str], str], ...] = (
    lambda literal, old: f"{literal} {old}",
    lambda literal, old: f"[Shop].[dbo].[T].[c] as [t].[c]={literal}",
    lambda literal, old: f"CONVERT_IMPLICIT(nvarchar(40),{literal},0)",
    lambda literal, old: f"CONVERT_IMPLICIT(int,[t].[c],0)=CONVERT(int,{literal},0)",
    lambda literal, old: f"[@p]={literal} AND [t].[c]>[@q]",
    lambda literal, old: f"substring([t].[c],(1),{literal}) like [@q]",
    lambda literal, old: f"select * from dbo.T where c = {literal} OPTION (FAST 5, MAXDOP 8)",
    lambda literal, old: f"select * from dbo.T OPTION (FAST {literal})",
    lambda literal, old: f"[t].[c] as {literal}",
)
_FRESH = (
    *("ConstValue", "ParameterCompiledValue", "ParameterRuntimeValue", "RemoteQuery", "Fresh", "Rows", "Style"),
    *("QueryStoreStatementHintText", "StatementSqlHandle", "Value", "ParameterValue", "Literal"),
)
_BY_SERVERS = {
    "ColumnReference": ("ParameterCompiledValue", "ParameterRuntimeValue"),
    "Const": ("ConstValue",),
    "RemoteQuery": ("RemoteQuery",),
    "StmtSimple": ("StatementText", "ParameterizedText", "QueryStoreStatementHintText"),
    "StmtCond": ("StatementText",),
    "StmtCursor": ("StatementText",),
    "ScalarOperator": ("ScalarString",),
    "PlanAffectingConvert": ("Expression",),
    "Top": ("Rows",),
    "Convert": ("Style",),
}
"""Attributes that carry values of the statement, by element."""


def planted_everywhere() -> st.SearchStrategy[PlantedPlan]:
    """See `everywhere`."""
    return everywhere(_planted_everywhere, seeds(), _LITERALS, WRAPPINGS, 5_000)


def planted_by_servers() -> st.SearchStrategy[PlantedPlan]:
    """See `by_servers`."""
    return by_servers(_planted_by_servers, seeds(), _LITERALS, 5_000)


def _planted_everywhere(
    text: str, planted: Sequence[tuple[Literal, str]], every: int, first: int, wrap: Callable[[str], str]
) -> PlantedPlan:
    root = tree_of(text)
    elements = [element for element in root.iter() if isinstance(element.tag, str)]
    places = [(element, name) for element in elements for name in (*element.keys(), "fresh", "text", "tail", "beside")]
    for number, (element, name) in enumerate(places[first % every :: every]):
        literal, value = planted[number % len(planted)]
        if name in element.attrib:
            _plant_attribute(element, str(name), number, literal.text, value)
        else:
            _plant_beside(element, str(name), number, literal.text, value)
    return PlantedPlan(wrap(etree.tostring(root, encoding="unicode")), text, tuple(literal for literal, _ in planted))


def _plant_attribute(element: etree._Element, name: str, number: int, literal: str, value: str) -> None:
    if name in EXPRESSIONS:
        element.set(name, _EXPRESSIONS[number % len(_EXPRESSIONS)](literal, element.get(name, "")))
    elif name in _AS_LITERAL:
        element.set(name, f"{literal} {element.get(name)}")
    elif name not in NAMES:
        element.set(name, f"{value}{literal}")


def _plant_beside(element: etree._Element, what: str, number: int, literal: str, value: str) -> None:
    """An attribute, a text, an element or a comment that no version writes."""
    if what == "fresh":
        element.set(_FRESH[number % len(_FRESH)], f"{value}{literal}")
    elif what == "text":
        element.text = f"{value}{literal}"
    elif what == "tail" and element.getparent() is not None:
        element.tail = f"{value}{literal}"
    elif number % 3 == 0:
        inside = f"{escape(value)}{escape(literal)}"
        element.append(etree.fromstring(f'<Fresh Column="{inside}" ScalarString="{inside}">{inside}</Fresh>'))
    elif number % 3 == 1:
        element.append(etree.Comment(value.replace("-", "")))
    else:
        element.append(etree.ProcessingInstruction("query", value.replace("?", "")))


def _planted_by_servers(text: str, planted: Sequence[Literal], every: int, first: int) -> PlantedPlan:
    root = tree_of(text)
    places = [
        (element, name)
        for element in root.iter(*(f"{NAMESPACE_MARK}{tag}" for tag in _BY_SERVERS))
        for name in _BY_SERVERS[etree.QName(element).localname]
    ]
    for number, (element, name) in enumerate(places[first % every :: every]):
        literal = planted[number % len(planted)].text
        if name in EXPRESSIONS:
            literal = _EXPRESSIONS[number % len(_EXPRESSIONS)](literal, element.get(name, ""))
        element.set(name, literal)
    return PlantedPlan(etree.tostring(root, encoding="unicode"), text, tuple(planted))
