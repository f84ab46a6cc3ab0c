"""Showplans: read or refused, and without the values of their statements once they are redacted."""

from copy import deepcopy
from functools import cache
from html import escape

from hypothesis import strategies as st
from lxml import etree

from dbplanmon_pipeline.core.plans.showplan import parse_showplan
from dbplanmon_pipeline.core.plans.showplan_redact import redact_showplan
from dbplanmon_pipeline.core.plans.showplan_vocabulary import EXPRESSIONS, NAMES, SOURCES, TYPES, WORDS
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline.providers.simulated.plans import plan_text
from dbplanmon_pipeline_tests.core.plans import showplans
from dbplanmon_pipeline_tests.core.plans.findings import test_sqlserver
from dbplanmon_pipeline_tests.fuzz.plan_checks import read_or_refused
from dbplanmon_pipeline_tests.fuzz.plan_mutations import LARGEST_SEED, mutated, repeated
from dbplanmon_pipeline_tests.fuzz.properties import Property

MARK = "zq"
"""Begins and ends a planted value; occurs in no seed."""

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
ODD_VALUES = ("", "-1", "0", "1", "1e308", "-1e308", "NaN", "true", "x", "[", "[]", "[a].[b]=(1)", "@p1", "OPTION((")
ODD_NAMES = ("Lookup", "ManyToMany", "Parallel", "EstimateRebinds", "EstimateRows", "PhysicalOp", "LogicalOp", "Impact")
_AS_LITERAL = WORDS | TYPES | SOURCES | EXPRESSIONS
"""Attributes that keep a plain word, so that only a literal among them is a value."""


@cache
def seeds() -> tuple[str, ...]:
    """Made-up plans, and the real ones where they lie beside the checkout."""
    made_up = [plan_text(number, number % 3, 1_700_000_000_000_000, None) for number in range(6)]
    made_up += [text for _, *texts in test_sqlserver.CASES for text in texts]
    real = [showplans.text_of(found.values[0]) for found in showplans.entries() if found.values[0]]
    return tuple(text for text in [*made_up, *real] if len(text) <= LARGEST_SEED and MARK not in text)


def _reshaped(text: str, changes: list[tuple[str, int, int, str]]) -> str:
    """The plan after changes that leave it XML: what other versions, and odd servers, might write."""
    root = etree.fromstring(text[text.index("<ShowPlanXML") :].encode())
    for kind, place, other, value in changes:
        elements = [element for element in root.iter() if isinstance(element.tag, str)]
        chosen, goal = elements[place % len(elements)], elements[other % len(elements)]
        name = str(chosen.keys()[other % len(chosen.keys())]) if chosen.keys() else ""
        above = chosen.getparent()
        if kind == "set" and name:
            chosen.set(name, value)
        elif kind == "add":
            chosen.set(ODD_NAMES[other % len(ODD_NAMES)], value)
        elif kind == "drop" and name:
            del chosen.attrib[name]
        elif kind == "rename":
            chosen.tag = goal.tag
        elif kind == "remove" and above is not None:
            above.remove(chosen)
        elif kind == "double":
            goal.append(deepcopy(chosen))
    return etree.tostring(root, encoding="unicode")


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("set", "set", "set", "add", "drop", "rename", "remove", "double")),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.one_of(st.sampled_from(ODD_VALUES), st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]))),
    ),
    min_size=1,
    max_size=12,
)
_RESHAPED = st.builds(_reshaped, st.sampled_from(seeds()), _CHANGES)


def _is_read_or_refused(text: str) -> None:
    read_or_refused(parse_showplan, text, "showplan")


def _keeps_its_shape(text: str) -> None:
    try:
        safe, before = redact_showplan(text), parse_showplan(text)
    except PlanParseError:
        return
    assert parse_showplan(safe).counts == before.counts
    assert redact_showplan(safe) == safe


_INSIDE = st.text(st.one_of(st.sampled_from("'\"[]-/*\\ \n;,=()@#$0x"), st.characters(codec="utf-8")), max_size=10)
_VALUE = _INSIDE.map(lambda text: f"{MARK}{text.translate(_ILLEGAL)}{MARK}")
_ILLEGAL = dict.fromkeys((*range(9), 11, 12, *range(13, 32), 0xFFFE, 0xFFFF))
_LITERALS = st.one_of(
    _VALUE.map(lambda value: "'" + value.replace("'", "''") + "'"),
    _VALUE.map(lambda value: "N'" + value.replace("'", "''") + "'"),
    _VALUE.map(lambda value: "'" + value.replace("'", "''")),
    _VALUE.map(lambda value: "/*" + value.replace("/*", "").replace("*/", "") + "*/"),
    _VALUE.map(lambda value: "--" + value.replace("\n", "").replace("\r", "") + "\n"),
)
_NUMBERS = st.one_of(
    st.integers(10**13, 10**17).map(str),
    st.integers(10**13, 10**17).map(lambda number: f"0x{number}"),
    st.integers(10**13, 10**17).map(lambda number: f"{number}.{number}e+10"),
    st.integers(10**13, 10**17).map(lambda number: f"${number}"),
)
_Plant = tuple[str, int, int, str, str]
_PLANT = st.tuples(
    st.sampled_from(
        (
            "expression",
            "expression",
            "attribute",
            "fresh attribute",
            "text",
            "tail",
            "element",
            "comment",
            "instruction",
        )
    ),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.one_of(_LITERALS, _NUMBERS),
    _VALUE,
)


def _no_planted_value_survives(planting: tuple[str, list[_Plant]]) -> None:
    text, plants = planting
    root = etree.fromstring(text[text.index("<ShowPlanXML") :].encode())
    elements = [element for element in root.iter() if isinstance(element.tag, str)]
    for plant in plants:
        told = [element for element in elements if plant[0] != "expression" or EXPRESSIONS & set(element.keys())]
        if told:
            _plant(told[plant[1] % len(told)], *plant)
    safe = redact_showplan(etree.tostring(root, encoding="unicode"))
    assert MARK not in safe
    for _, _, _, literal, _ in plants:
        digits = "".join(part for part in literal if part.isdigit())[:14]
        assert len(digits) < 14 or digits not in safe


def _plant(element: etree._Element, kind: str, _: int, which: int, literal: str, value: str) -> None:
    """Put the value, or a literal that is one, where the server might write such a thing."""
    if kind in ("attribute", "expression"):
        wanted = EXPRESSIONS if kind == "expression" else set(element.keys()) - NAMES
        names = [name for name in element.attrib if name in wanted]
        if names:
            name = str(names[which % len(names)])
            old = "" if MARK in element.get(name, "") else element.get(name, "")
            element.set(name, f"{literal} {old}" if name in _AS_LITERAL else f"{value}{literal}")
    elif kind == "fresh attribute":
        element.set(("ConstValue", "ParameterCompiledValue", "RemoteQuery", "Fresh")[which % 4], f"{value}{literal}")
    elif kind == "text":
        element.text = value
    elif kind == "tail" and element.getparent() is not None:
        element.tail = value
    elif kind == "element":
        element.append(etree.fromstring(f'<Fresh Column="{escape(value)}">{escape(literal)}</Fresh>'))
    elif kind == "comment":
        element.append(etree.Comment(value.replace("-", "")))
    elif kind == "instruction":
        element.append(etree.ProcessingInstruction("query", value.replace("?", "")))


PROPERTIES = (
    Property("any showplan is told or refused", mutated(seeds(), PIECES), _is_read_or_refused),
    Property("a showplan with odd parts is told or refused", _RESHAPED, _is_read_or_refused),
    Property("a redacted showplan with odd parts keeps its shape", _RESHAPED, _keeps_its_shape),
    Property("any text is told or refused", repeated((*PIECES, *seeds()[:2])), _is_read_or_refused),
    Property("a redacted showplan keeps its shape", mutated(seeds(), PIECES), _keeps_its_shape),
    Property(
        "no planted value survives",
        st.tuples(st.sampled_from(seeds()), st.lists(_PLANT, min_size=1, max_size=6)),
        _no_planted_value_survives,
    ),
)
