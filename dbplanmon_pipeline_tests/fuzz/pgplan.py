"""Plans of EXPLAIN (FORMAT JSON): read or refused, and without the values of their statements once redacted."""

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from hypothesis import strategies as st

from dbplanmon_pipeline.core.plans.pgplan import parse_pg_plan
from dbplanmon_pipeline.core.plans.redact import redact_pg_plan
from dbplanmon_pipeline.core.plans.shape import plan_hash_of_pg
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans import corpus
from dbplanmon_pipeline_tests.core.plans.findings import test_postgres
from dbplanmon_pipeline_tests.fuzz.plan_checks import read_or_refused
from dbplanmon_pipeline_tests.fuzz.plan_mutations import LARGEST_SEED, mutated, repeated
from dbplanmon_pipeline_tests.fuzz.properties import Property

MARK = "zq"
"""Begins and ends a planted value; occurs in no seed."""

PIECES = (
    *("[", "]", "{", "}", '"', ",", ":", "\\", '""', "null", "true", "-1", "1e308", "1e999", "NaN", "9" * 400, '"x"'),
    *('"Plan": ', '"Plans": [', '"Node Type": "Sort"', '{"Plan": {"Node Type": "Sort"}}', "Utility Statement", "[{"),
    *("│", "║", "|", "+", "↵", "\r\n", "\ufeff", "\0", "(cost=0.00..1.00 rows=1 width=4)", "QUERY PLAN", "[" * 600),
    *(
        "-[ RECORD 1 ]-",
        "[[1]]",
        '{"Plans": {}}',
        '"Plans": null',
        '"Workers": [1, {"Actual Rows": 3}]',
        "duration: 3 ms",
    ),
)
ODD_VALUES = (None, True, -1, 0, 1, 1e308, 10**400, "", "x", "NaN", [], {}, [1], {"a": 1}, "Sort", "((a = $1) OR b)")
ODD_NAMES = ("Plans", "Workers", "Actual Rows", "Actual Loops", "Plan Rows", "Filter", "Triggers", "JIT", "Node Type")
EXPRESSIONS = ("Filter", "Index Cond", "Hash Cond", "Output", "Sort Key", "Query Text", "Function Call", "Remote SQL")
UNKNOWN = ("Fresh", "Foreign File", "Application Name", "Parameters", "Query Parameters")


@cache
def seeds() -> tuple[str, ...]:
    """Made-up plans, and the real ones where they lie beside the checkout."""
    made_up = [json.dumps(document) for _, *documents in test_postgres.CASES for document in documents]
    real = [corpus.text_of(found.values[0]) for found in corpus.entries() if found.values[0]]
    return tuple(text for text in [*made_up, *real] if len(text) <= LARGEST_SEED and MARK not in text)


@cache
def _documents() -> tuple[str, ...]:
    """Seeds that are JSON as they stand."""
    return tuple(text for text in seeds() if _is_json(text))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _reshaped(text: str, changes: list[tuple[str, int, int, Any]]) -> str:
    """The plan after changes that leave it JSON: what other versions, and odd servers, might write."""
    document = json.loads(text)
    for kind, place, other, value in changes:
        objects = list(_objects(document))
        chosen, goal = objects[place % len(objects)], objects[other % len(objects)]
        name = list(chosen)[other % len(chosen)] if chosen else "Node Type"
        if kind == "set":
            chosen[name] = deepcopy(value)
        elif kind == "add":
            chosen[ODD_NAMES[other % len(ODD_NAMES)]] = deepcopy(value)
        elif kind == "drop":
            chosen.pop(name, None)
        else:
            goal.setdefault("Plans", [])
            if isinstance(goal["Plans"], list):
                goal["Plans"].append(deepcopy(chosen))
    return json.dumps(document)


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("set", "set", "set", "add", "drop", "double")),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.one_of(st.sampled_from(ODD_VALUES), st.text()),
    ),
    min_size=1,
    max_size=12,
)


def _is_read_or_refused(text: str) -> None:
    read_or_refused(parse_pg_plan, text, "pgjson")


def _keeps_its_shape(text: str) -> None:
    try:
        before = parse_pg_plan(text)
        safe = redact_pg_plan(text)
    except PlanParseError:
        return
    assert redact_pg_plan(safe) == safe or "NaN" in json.dumps(safe)
    assert parse_pg_plan(safe).counts == before.counts
    assert plan_hash_of_pg(safe) == plan_hash_of_pg(text)


_VALUE = st.text(st.one_of(st.sampled_from("'\"[]-/*\\ \n;,=()@#$?:{}e0"), st.characters()), max_size=10).map(
    lambda text: f"{MARK}{text}{MARK}"
)
_LITERALS = st.one_of(
    _VALUE.map(lambda value: "'" + value.replace("'", "''") + "'::text"),
    _VALUE.map(lambda value: "U&'" + value.replace("'", "''") + "'"),
    _VALUE.map(lambda value: "E'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    _VALUE.map(lambda value: "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"),
    _VALUE.map(lambda value: "$$" + value.replace("$", "") + "$$"),
    _VALUE.map(lambda value: "$größe$" + value.replace("$größe$", "") + "$größe$"),
    _VALUE.map(lambda value: "'" + value.replace("'", "''")),
    _VALUE.map(lambda value: "/*" + value.replace("/*", "").replace("*/", "") + "*/"),
    _VALUE.map(lambda value: "--" + value.replace("\n", "").replace("\r", "") + "\n"),
)
_NUMBERS = st.one_of(
    st.integers(10**13, 10**17).map(str),
    st.integers(10**13, 10**17).map(lambda number: f"{number}.{number}e-10"),
    st.integers(10**13, 10**17).map(lambda number: f"B'{number}'"),
    st.integers(10**13, 10**17).map(lambda number: f"'-{number}'::integer"),
)
_Plant = tuple[str, int, int, str, str]
_PLANT = st.tuples(
    st.sampled_from(("expression", "list", "unknown", "unknown list", "unknown object", "setting")),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.one_of(_LITERALS, _NUMBERS),
    _VALUE,
)


def _no_planted_value_survives(planting: tuple[str, list[_Plant]]) -> None:
    text, plants = planting
    document = json.loads(text)
    nodes = list(_objects(document))
    for plant in plants:
        _plant(nodes[plant[1] % len(nodes)], *plant)
    safe = json.dumps(redact_pg_plan(document), ensure_ascii=False)
    assert MARK not in safe
    for _, _, _, literal, _ in plants:
        digits = "".join(part for part in literal if part in "0123456789")[:14]
        assert len(digits) < 14 or digits not in safe


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """All objects but those with settings of the server, which are no values of a statement."""
    if isinstance(document, dict):
        yield document
        for name, value in document.items():
            if name != "Settings":
                yield from _objects(value)
    elif isinstance(document, list):
        for value in document:
            yield from _objects(value)


def _plant(node: dict[str, Any], kind: str, _: int, which: int, literal: str, value: str) -> None:
    """Put the value, or a literal that is one, where the server might write such a thing."""
    name = EXPRESSIONS[which % len(EXPRESSIONS)]
    unknown = UNKNOWN[which % len(UNKNOWN)]
    if kind == "expression":
        node[name] = f"({literal}\n = o.a)"
    elif kind == "list":
        node[name] = ["o.a", f"({literal}\n)"]
    elif kind == "unknown":
        node[unknown] = value
    elif kind == "unknown list":
        node[unknown] = [[value], {"Detail": literal}]
    elif kind == "unknown object":
        node[unknown] = {"Detail": {"More": [literal, value]}}
    else:
        node["Settings"] = {"app.user": value}


_RESHAPED = st.builds(_reshaped, st.sampled_from(_documents()), _CHANGES)
PROPERTIES = (
    Property("any plan is told or refused", mutated(seeds(), PIECES), _is_read_or_refused),
    Property("a plan with odd parts is told or refused", _RESHAPED, _is_read_or_refused),
    Property("a redacted plan with odd parts keeps its shape", _RESHAPED, _keeps_its_shape),
    Property("any text is told or refused", repeated((*PIECES, *seeds()[:2])), _is_read_or_refused),
    Property("a redacted plan keeps its shape", mutated(seeds(), PIECES), _keeps_its_shape),
    Property(
        "no planted value survives",
        st.tuples(st.sampled_from(_documents()), st.lists(_PLANT, min_size=1, max_size=6)),
        _no_planted_value_survives,
    ),
)
