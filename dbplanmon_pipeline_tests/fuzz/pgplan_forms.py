"""Plans of EXPLAIN as other versions, odd servers and other programs might write them."""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from hypothesis import strategies as st

from dbplanmon_pipeline_tests.core.plans import corpus
from dbplanmon_pipeline_tests.core.plans.findings import test_postgres
from dbplanmon_pipeline_tests.core.plans.postgres import test_explain, test_explain_forms
from dbplanmon_pipeline_tests.fuzz.plan_mutations import Seed, numbered
from dbplanmon_pipeline_tests.fuzz.planted_plans import is_free

PIECES = (
    *("[", "]", "{", "}", '"', ",", ":", "\\", '""', "null", "true", "-1", "1e308", "1e999", "NaN", "9" * 400, '"x"'),
    *('"Plan": ', '"Plans": [', '"Node Type": "Sort"', '{"Plan": {"Node Type": "Sort"}}', "Utility Statement", "[{"),
    *("│", "║", "|", "+", "↵", "\r\n", "\ufeff", "\0", "(cost=0.00..1.00 rows=1 width=4)", "QUERY PLAN", "[" * 600),
    *("-[ RECORD 1 ]-", "[[1]]", '{"Plans": {}}', '"Plans": null', '"Workers": [1, {"Actual Rows": 3}]'),
    *(
        "duration: 3 ms",
        "->  ",
        "\n  ->  Sort",
        "(never executed)",
        "  Worker 0:  ",
        "\n  SubPlan 1\n",
        "\n  Filter: ('",
    ),
    *("<explain>", "</explain>", "<Plan>", "</Plan>", "<Node-Type>Sort</Node-Type>", "<table>", "<td>", "&lt;", ".\n."),
    *('- Node Type: "Sort"\n', "Plan: \n    ", '  Node Type: "Sort"\n', "    - ", "plan:\\n", '{"message": "plan:\\n'),
    *("QUERY PLAN | ", '{"QUERY PLAN": ', "db postgres[1]: ", "db-1 | ", "#011", "RECORD 1 "),
)
_ODD_VALUES = (
    *(None, True, -1, 0, 1, 1e308, 10**400, "", "x", "NaN", [], {}, [1], {"a": 1}, "Sort", "((a = $1) OR b)"),
    *(float("inf"), -1e308, 5e-324, [[]], [None], {"": {}}, ["a", 1], "1e999", " 5", "٣", "Disk", "off"),
)
_ODD_NAMES = (
    *("Plans", "Workers", "Actual Rows", "Actual Loops", "Plan Rows", "Filter", "Triggers", "JIT", "Node Type"),
    *("Settings", "Query Identifier", "Execution Time", "Planning Time", "Heap Fetches", "Sort Space Type", "Output"),
    *("Workers Planned", "Workers Launched", "Rows Removed by Filter", "Hash Batches", "Schema", "Relation Name"),
)
_KINDS = ("set", "set", "set", "add", "add", "drop", "copy", "double", "nest", "wrap")
_GROWING = frozenset({"double", "nest", "wrap"})
_MANY = 1_000
_LARGE = 1_000_000
"""Plans of so many objects grow no more, and those of so many characters are not tried: one of many megabytes takes its
second rightly."""

_Change = tuple[str, int, int, Any]
"""What is done, to which object, with which other, and a value."""

_LEVELS = st.one_of(st.integers(1, 40), st.integers(40, 400), st.integers(400, 5_000))


@cache
def seeds() -> tuple[Seed, ...]:
    """Made-up plans, and the real ones where they lie beside the checkout."""
    made_up = [json.dumps(document) for _, *documents in test_postgres.CASES for document in documents]
    real = [corpus.text_of(found.values[0]) for found in corpus.entries() if found.values[0]]
    forms = [test_explain.PLAN, test_explain_forms.XML, test_explain_forms.YAML]
    return numbered(filter(is_free, [*made_up, *forms, *real]))


@cache
def documents() -> tuple[Seed, ...]:
    """Seeds that are JSON as they stand."""
    return tuple(text for text in seeds() if _is_json(text))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def objects(document: Any) -> Iterator[dict[str, Any]]:
    """All objects but those with settings of the server, which are no values of a statement."""
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(value for name, value in part.items() if name != "Settings")
        elif isinstance(part, list):
            waiting.extend(part)


def reshaped() -> st.SearchStrategy[str]:
    """Plans after changes that leave them JSON."""
    change = st.tuples(
        st.sampled_from(_KINDS),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.one_of(st.sampled_from(_ODD_VALUES), st.text(max_size=40)),
    )
    plans = st.builds(_reshaped, st.sampled_from(documents()), st.lists(change, min_size=1, max_size=16))
    return plans.filter(lambda text: len(text) < _LARGE)


def _reshaped(text: str, changes: Sequence[_Change]) -> str:
    document = json.loads(text)
    for kind, place, other, value in changes:
        found = list(objects(document))
        if kind in _GROWING and len(found) > _MANY:
            continue
        _change(kind, found[place % len(found)], found[other % len(found)], other, value)
    return json.dumps(document)


def _change(kind: str, chosen: dict[str, Any], goal: dict[str, Any], other: int, value: Any) -> None:
    name = list(chosen)[other % len(chosen)] if chosen else "Node Type"
    if kind == "set":
        chosen[name] = deepcopy(value)
    elif kind == "add":
        chosen[_ODD_NAMES[other % len(_ODD_NAMES)]] = deepcopy(value)
    elif kind == "drop":
        chosen.pop(name, None)
    elif kind == "copy":
        chosen.update({key: deepcopy(found) for key, found in goal.items() if not isinstance(found, list | dict)})
    elif kind == "wrap":
        inside = dict(chosen)
        chosen.clear()
        chosen.update({"Node Type": "Nested Loop", "Plans": [inside, deepcopy(inside)], "Total Cost": 1e6})
    elif isinstance(goal.setdefault("Plans", []), list):
        goal["Plans"] += [deepcopy(chosen)] * (2 if kind == "double" else 1)


_OPERATORS = (
    '"Node Type": "Nested Loop", "Join Type": "Inner", "Total Cost": 1e6, "Plan Rows": 9',
    '"Node Type": "Hash Join", "Hash Cond": "(a.b = c.d)", "Total Cost": 1e6, "Actual Rows": 9, "Actual Loops": 2',
    '"Node Type": "Sort", "Sort Key": ["a"], "Sort Space Type": "Disk", "Parent Relationship": "Outer"',
    '"Node Type": "Gather", "Workers Planned": 2, "Workers Launched": 1',
    '"Node Type": "Limit"',
    '"Node Type": "Append", "Parent Relationship": "InitPlan", "Subplan Name": "CTE c"',
    '"Node Type": "Seq Scan", "Relation Name": "t", "Schema": "s", "Filter": "(a = $1)", "Total Cost": 1e5',
)
_LEAF = '{"Node Type": "Seq Scan", "Relation Name": "u", "Schema": "s", "Alias": "u", "Total Cost": 10}'


def deep() -> st.SearchStrategy[str]:
    """A few operators within each other many times over, alone or beside a read; or brackets of any other kind."""
    plans = st.builds(
        _nested,
        st.lists(st.tuples(st.sampled_from(_OPERATORS), st.booleans()), min_size=1, max_size=5),
        _LEVELS,
        st.sampled_from((_LEAF, "{}", "[]", '{"Node Type": "Result", "Plans": []}')),
    )
    other = st.builds(
        lambda begin, end, depth: f'[{{"Plan": {{"Node Type": "Result", "Fresh": {begin * depth}1{end * depth}}}}}]',
        *(st.just(sign) for sign in "[]"),
        _LEVELS,
    )
    return st.one_of(plans, plans, plans, other)


def _nested(levels: Sequence[tuple[str, bool]], depth: int, innermost: str) -> str:
    opened = [levels[number % len(levels)] for number in range(depth)]
    begin = "".join(f'{{{said}, "Plans": [{f"{_LEAF}, " if beside else ""}' for said, beside in opened)
    return f'[{{"Plan": {begin}{innermost}{"]}" * depth}}}]'


def wrapped(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Plans as terminals, logs and spreadsheets show them."""
    return st.builds(lambda wrap, text: wrap(text), st.sampled_from(WRAPPINGS), texts)


WRAPPINGS = (
    lambda text: text,
    lambda text: f"2026-01-01 LOG:  duration: 3.1 ms  plan:\n\t{text}",
    lambda text: f" QUERY PLAN \n------------\n {text}\n(1 row)\n",
    lambda text: '"' + text.replace('"', '""') + '"\r\n',
    lambda text: json.dumps(json.loads(text), indent=1).replace("\n", "+\n") if _is_json(text) else text,
)
