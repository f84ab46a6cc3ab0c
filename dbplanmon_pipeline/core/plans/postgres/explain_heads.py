"""The line of an operator in EXPLAIN's text form, as the attributes its JSON form has."""

import re
from typing import Any

_FIGURE = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_COST = re.compile(
    rf"\s*\(cost=(?P<startup>{_FIGURE})\.\.(?P<total>{_FIGURE}) rows=(?P<rows>{_FIGURE}) width=(?P<width>\d+)\)"
)
_ACTUAL = re.compile(
    rf"\s*\((?:(?P<never>never executed)|actual (?:time=(?P<first>{_FIGURE})\.\.(?P<last>{_FIGURE}) )?"
    rf"rows=(?P<rows>{_FIGURE}) loops=(?P<loops>{_FIGURE}))\)"
)
_FIGURES = re.compile(
    rf"(?<=\s)\((?:cost={_FIGURE}\.\.{_FIGURE} rows=\d|actual (?:time={_FIGURE}\.\.|rows=){_FIGURE}|never executed\))"
)
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".]+)'
_TARGET = re.compile(rf"(?:(?P<schema>{_NAME})\.)?(?P<object>{_NAME})(?: (?P<alias>{_NAME}))?")
_JOIN = re.compile(
    r"(?P<name>Nested Loop|Merge|Hash)(?: (?P<type>Left|Right Semi|Right Anti|Right|Full|Semi|Anti))? Join|Nested Loop"
)
_AGGREGATE = re.compile(r"(?:(?P<mode>Partial|Finalize) )?(?P<how>Group|Hash|Mixed|)Aggregate")
_SET_OPERATION = re.compile(r"(?P<how>Hash)?SetOp (?P<command>(?:Intersect|Except)(?: All)?)")
_CHANGE = re.compile(r"(?P<foreign>Foreign )?(?P<operation>Insert|Update|Delete|Merge) on (?P<target>.+)", re.DOTALL)
_READ = re.compile(
    rf"(?P<name>(?:[A-Z][\w-]* )*?[A-Z][\w-]*(?: \([^()]*\))?)(?P<backward> Backward)?(?: using (?P<index>{_NAME}))?"
    r"(?: on (?P<target>.+))?",
    re.DOTALL,
)
_STRATEGIES = {"": "Plain", "Group": "Sorted", "Hash": "Hashed", "Mixed": "Mixed"}
_CUSTOM = re.compile(r"Custom Scan \((?P<provider>[^()]*)\)")
_OBJECTS = {
    "Function Scan": "Function Name",
    "Table Function Scan": "Table Function Name",
    "CTE Scan": "CTE Name",
    "WorkTable Scan": "CTE Name",
    "Named Tuplestore Scan": "Tuplestore Name",
    "Bitmap Index Scan": "Index Name",
}
"""What the name behind `on` is, where it is no table."""

_OF_AN_ALIAS = ("Subquery Scan", "Values Scan")
NAMES = frozenset(
    """
    Aggregate|Append|BitmapAnd|BitmapOr|Bitmap Heap Scan|Bitmap Index Scan|CTE Scan|Custom Scan|Foreign Scan
    Function Scan|Gather|Gather Merge|Group|Hash|Hash Join|Incremental Sort|Index Only Scan|Index Scan|Limit|LockRows
    Materialize|Memoize|Merge Append|Merge Join|ModifyTable|Named Tuplestore Scan|Nested Loop|ProjectSet
    Recursive Union|Result|Sample Scan|Seq Scan|SetOp|Sort|Subquery Scan|Table Function Scan|Tid Range Scan|Tid Scan
    Unique|Values Scan|WindowAgg|WorkTable Scan
    """.replace("\n", "|")
    .replace("    ", "")
    .strip("|")
    .split("|")
)
"""Operators of the server itself; extensions and its descendants have more."""


def number(text: str) -> float | int:
    """`12` or `0.5`."""
    return float(text) if not text.isdigit() else int(text)


def has_figures(line: str) -> bool:
    """True where a line ends in costs or measured figures, as that of an operator does."""
    return _FIGURES.search(line) is not None


def head_of(line: str) -> dict[str, Any] | None:
    """Attributes of an operator from its line without indent and arrow; None where it is no such line.

    What ends in figures is an operator, even of a server whose words nobody knows here.
    """
    figures = _FIGURES.search(line)
    words = (line[: figures.start()] if figures else line).strip()
    told = _described(words)
    if figures is None:
        return told
    return (told or {"Node Type": words}) | figures_of(line[figures.start() :])


def figures_of(text: str) -> dict[str, float | int]:
    """Estimated and measured figures in brackets; what was never executed was measured as nothing."""
    told: dict[str, float | int] = {}
    cost = _COST.match(text)
    if cost:
        names = {"Startup Cost": "startup", "Total Cost": "total", "Plan Rows": "rows", "Plan Width": "width"}
        told |= {name: number(cost[group]) for name, group in names.items()}
    actual = _ACTUAL.match(text, cost.end() if cost else 0)
    return told | measured(actual) if actual else told


def measured(actual: "re.Match[str]") -> dict[str, float | int]:
    """`Actual Rows` and its companions."""
    if actual["never"]:
        return {"Actual Rows": 0, "Actual Loops": 0, "Actual Startup Time": 0.0, "Actual Total Time": 0.0}
    told = {"Actual Rows": number(actual["rows"]), "Actual Loops": number(actual["loops"])}
    if actual["last"] is not None:
        told |= {"Actual Startup Time": number(actual["first"]), "Actual Total Time": number(actual["last"])}
    return told


def worker_figures(text: str) -> dict[str, float | int] | None:
    """The same for `actual time=0.02..0.35 rows=10 loops=1` of a worker, which has no brackets."""
    actual = _ACTUAL.fullmatch(f"({text})")
    return measured(actual) if actual else None


def _described(words: str) -> dict[str, Any] | None:
    parallel = words.startswith("Parallel ")
    words = words.removeprefix("Parallel ").removeprefix("Async ")
    told = _join(words) or _aggregate(words) or _set_operation(words) or _change(words) or _read(words)
    return None if told is None else {**told, "Parallel Aware": parallel}


def _join(words: str) -> dict[str, Any] | None:
    found = _JOIN.fullmatch(words)
    if found is None:
        return None
    name = found["name"] or "Nested Loop"
    return {
        "Node Type": name if name == "Nested Loop" else f"{name} Join",
        "Join Type": found["type"] or "Inner",
    }


def _aggregate(words: str) -> dict[str, Any] | None:
    found = _AGGREGATE.fullmatch(words)
    if found is None:
        return None
    return {
        "Node Type": "Aggregate",
        "Strategy": _STRATEGIES[found["how"]],
        "Partial Mode": found["mode"] or "Simple",
    }


def _set_operation(words: str) -> dict[str, Any] | None:
    found = _SET_OPERATION.fullmatch(words)
    if found is None:
        return None
    return {"Node Type": "SetOp", "Strategy": "Hashed" if found["how"] else "Sorted", "Command": found["command"]}


def _change(words: str) -> dict[str, Any] | None:
    found = _CHANGE.fullmatch(words)
    if found is None:
        return None
    node = "Foreign Scan" if found["foreign"] else "ModifyTable"
    return {"Node Type": node, "Operation": found["operation"], **target_of(found["target"])}


def _read(words: str) -> dict[str, Any] | None:
    found = _READ.fullmatch(words)
    if found is None:
        return None
    name, target = found["name"], found["target"]
    told: dict[str, Any] = {"Node Type": name}
    custom = _CUSTOM.fullmatch(name)
    if custom:
        told = {"Node Type": "Custom Scan", "Custom Plan Provider": custom["provider"]}
    if name in ("Index Scan", "Index Only Scan"):
        told["Scan Direction"] = "Backward" if found["backward"] else "Forward"
    if found["index"]:
        told["Index Name"] = _plain(found["index"])
    if target:
        told |= _object(name, target)
    return told


def _object(name: str, target: str) -> dict[str, Any]:
    if name in _OF_AN_ALIAS:
        return {"Alias": _plain(target)}
    told = target_of(target)
    if name == "Bitmap Index Scan":
        return {"Index Name": _plain(target)}
    if name in _OBJECTS and "Relation Name" in told:
        told[_OBJECTS[name]] = told.pop("Relation Name")
    return told


def target_of(text: str) -> dict[str, str]:
    """`public.orders o` as JSON names it; the alias is always told there."""
    found = _TARGET.fullmatch(text.strip())
    if found is None:
        return {"Relation Name": text.strip()}
    name = _plain(found["object"])
    schema = {"Schema": _plain(found["schema"])} if found["schema"] else {}
    return {"Relation Name": name, **schema, "Alias": _plain(found["alias"] or name)}


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name[:1] == '"' and name[-1:] == '"' and len(name) > 1 else name
