"""PostgreSQL plans with a value in every attribute that can carry one, and in those in which servers write them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from dbplanmon_pipeline.core.plans.postgres.redact import EXPRESSIONS, NAMES, STATEMENTS
from dbplanmon_pipeline_tests.fuzz.pgplan_forms import WRAPPINGS, documents, objects
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


def _escaped(value: str) -> str:
    return "E'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _escaped_and_doubled(value: str) -> str:
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _in_dollars(value: str) -> str:
    return f"$${value.replace('$', '')}$$"


def _in_tagged_dollars(value: str) -> str:
    return f"$größe${value.replace('$größe$', '')}$größe$"


_LITERALS = st.one_of(
    texts(
        (
            *(
                strings_of("'", end="::text"),
                strings_of("'", "U&"),
                strings_of("'", "N"),
                strings_of("'", end="::date"),
            ),
            *(_escaped, _escaped_and_doubled, _in_dollars, _in_tagged_dollars, block_comment, line_comment),
        )
    ),
    numbers(("#", "-#", "#.#e-10", "B'#'", "'-#'::integer", "'{#,#}'::bigint[]", "#::numeric", "X'#'", "(#)", ".#")),
    lures(("lower(#)", "((#)::date = 1", "$1 #", "(o.# = $1)", "hashed SubPlan 1 #", "date_trunc(#, #.#)", "enable_#")),
    texts((open_string,)),
)
# A string that is not closed ends with the next quote, so each form has the literal once, before anything of the seed.
_FORMS: tuple[Callable[[str, str], str], ...] = (
    lambda literal, old: f"({literal}\n = o.a)",
    lambda literal, old: f"((o.a)::text = {literal}\n)",
    lambda literal, old: f"(lower(o.a) ~~ {literal}\n)",
    lambda literal, old: f"((o.a = ANY ({literal}\n)) AND (o.b > $1))",
    lambda literal, old: f"(hashed SubPlan 1) OR (o.a < {literal}\n)",
    lambda literal, old: f"{literal}\n {old}",
    lambda literal, old: f"select * from o where a = {literal}\n limit 5",
)
_BY_SERVERS = (
    *("Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Join Filter", "Merge Cond", "One-Time Filter", "Order By"),
    *("Function Call", "Table Function Call", "TID Cond", "Run Condition", "Conflict Filter", "Remote SQL"),
)
_LISTS = ("Output", "Sort Key", "Group Key", "Presorted Key", "Cache Key", "Sampling Parameters", "Hash Key")
_UNKNOWN = ("Fresh", "Foreign File", "Application Name", "Parameters", "Query Parameters", "Foreign Program")


def planted_everywhere() -> st.SearchStrategy[PlantedPlan]:
    """See `everywhere`."""
    return everywhere(_planted_everywhere, documents(), _LITERALS, WRAPPINGS, 1_000)


def planted_by_servers() -> st.SearchStrategy[PlantedPlan]:
    """See `by_servers`."""
    return by_servers(_planted_by_servers, documents(), _LITERALS, 1_000, st.booleans())


def _planted_everywhere(
    text: str, planted: Sequence[tuple[Literal, str]], every: int, first: int, wrap: Callable[[str], str]
) -> PlantedPlan:
    document = json.loads(text)
    places = [(one, name) for one in objects(document) for name in (*one, "unknown", "list", "object", "settings")]
    for number, (one, name) in enumerate(places[first % every :: every]):
        literal, value = planted[number % len(planted)]
        if name in one:
            one[name] = _with_value(name, one[name], number, literal.text, value)
        else:
            _plant_beside(one, name, number, literal.text, value)
    return PlantedPlan(wrap(json.dumps(document)), text, tuple(literal for literal, _ in planted))


def _with_value(name: str, old: Any, number: int, literal: str, value: str) -> Any:
    """The attribute with a value in it; names, figures and what holds other objects stay."""
    if name in NAMES or not isinstance(old, str | list) or (isinstance(old, list) and not _all_texts(old)):
        return old
    form = _FORMS[number % len(_FORMS)]
    if name not in EXPRESSIONS | STATEMENTS:
        return f"{value}{literal}" if isinstance(old, str) else [value, f"{value}{literal}"]
    return form(literal, old) if isinstance(old, str) else [*old, form(literal, "o.a")]


def _all_texts(entries: Sequence[object]) -> bool:
    """Whether a list holds nothing but texts."""
    return all(isinstance(entry, str) for entry in entries)


def _plant_beside(one: dict[str, Any], what: str, number: int, literal: str, value: str) -> None:
    """An attribute that no version writes, or none here."""
    unknown = _UNKNOWN[number % len(_UNKNOWN)]
    if what == "unknown":
        one[unknown] = f"{value}{literal}"
    elif what == "list":
        one[f"{unknown} List"] = [[value], {"Detail": literal}, [[{"More": value}]]]
    elif what == "object":
        one[f"{unknown} Object"] = {"Detail": {"More": [literal, value], "Filter": _FORMS[0](literal, "")}}
    else:
        one["Settings"] = {"app.user": f"{value}{literal}", "work_mem": "64kB"}


def _planted_by_servers(text: str, planted: Sequence[Literal], every: int, first: int, in_lists: bool) -> PlantedPlan:
    document = json.loads(text)
    names = (*_BY_SERVERS, *_LISTS) if in_lists else _BY_SERVERS
    nodes = [one for one in objects(document) if "Node Type" in one]
    places = [(one, name) for one in nodes for name in names]
    for number, (one, name) in enumerate(places[first % every :: every]):
        literal, form = planted[number % len(planted)].text, _FORMS[number % len(_FORMS)]
        one[name] = [form(literal, "o.a")] if name in _LISTS else form(literal, "o.a")
    for statement in document if isinstance(document, list) else ():
        if isinstance(statement, dict):
            statement["Query Text"] = f"select * from o where a = {planted[0].text}"
            statement["Query Parameters"] = f"$1 = {planted[0].text}"
    return PlantedPlan(json.dumps(document), text, tuple(planted))
