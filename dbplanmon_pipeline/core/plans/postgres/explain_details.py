"""Lines below an operator in EXPLAIN's text form, as the attributes its JSON form has."""

import re
from collections.abc import Callable
from typing import Any

from dbplanmon_pipeline.core.plans.postgres.explain_heads import number

_PAIR = re.compile(r"(?P<name>[A-Z][\w/ -]*): (?P<value>.*)")
_AMOUNT = re.compile(r"(?P<number>-?\d+(?:\.\d+)?)(?: ?(?:kB|ms|MB|bytes))?")
_NUMBER = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?")
_WITH_ORIGINAL = re.compile(r"(?P<now>\d+) \(originally (?P<was>\d+)\)")
_EQUAL = re.compile(r"(?P<name>[a-z][a-z ]{0,30}?)=(?P<value>\d+(?:\.\d+)?)")
_IO = re.compile(r"(?P<where>shared/local|shared|local|temp)? ?(?P<parts>(?:(?:read|write|extend)=[\d.]+ ?)+)")
_BLOCKS = re.compile(r"(?P<where>shared|local|temp) (?P<parts>(?:[a-z]+=\d+ ?)+)")
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()\[\]]|,\ |[^'"()\[\],]+|.""", re.DOTALL)

LISTS = frozenset({"Output", "Sort Key", "Presorted Key", "Group Key", "Hash Key", "Conflict Arbiter Indexes"})
TEXTS = frozenset(
    {
        *("Filter", "Index Cond", "Hash Cond", "Recheck Cond", "Join Filter", "Merge Cond", "TID Cond", "Cache Key"),
        *("One-Time Filter", "Order By", "Function Call", "Table Function Call", "Conflict Filter", "Run Condition"),
        *("Window", "Remote SQL", "Relations", "Query Text", "Conflict Resolution", "Cache Mode"),
    }
)
"""Values that may look like something else and are not."""

_FLAGS = {"true": True, "false": False}


def detail(name: str, value: str) -> dict[str, Any]:
    """Attributes that one line tells, `name: value`."""
    reader = _READERS.get(name)
    if reader:
        return reader(f"{name}: {value}" if name in _COMPOSED else value)
    if name in LISTS:
        return {name: listed(value)}
    return {name: value if name in TEXTS else _typed(value)}


def listed(text: str) -> list[str]:
    """Expressions between the outermost commas."""
    found, depth, start, position = [], 0, 0, 0
    for token in _TOKEN.finditer(text):
        sign, position = token.group(), token.end()
        depth += (sign in "([") - (sign in ")]")
        if sign == ", " and depth == 0:
            found.append(text[start : token.start()])
            start = position
    return [*found, text[start:]]


def is_open(text: str) -> bool:
    """True where a string begins in the text and does not end in it; names in double quotes may hold apostrophes."""
    return any(token.group() == "'" for token in _TOKEN.finditer(text))


def number_or_flag(text: str) -> Any:
    """`5`, `0.5` and `true` as JSON has them; else the text."""
    return _FLAGS[text] if text in _FLAGS else _signed(text) if _NUMBER.fullmatch(text) else text


def _typed(value: str) -> Any:
    if value in _FLAGS:
        return _FLAGS[value]
    amount = _AMOUNT.fullmatch(value)
    return _signed(amount["number"]) if amount else value


def _signed(text: str) -> float | int:
    return -number(text[1:]) if text.startswith("-") else number(text)


def _equal(text: str) -> dict[str, float | int]:
    return {found["name"].strip(): number(found["value"]) for found in _EQUAL.finditer(text)}


def _buffers(value: str) -> dict[str, Any]:
    return {
        f"{found['where'].capitalize()} {name.capitalize()} Blocks": count
        for found in _BLOCKS.finditer(value)
        for name, count in _equal(found["parts"]).items()
    }


def _io_timings(value: str) -> dict[str, Any]:
    places = {None: "", "shared/local": "", "shared": "Shared ", "local": "Local ", "temp": "Temp "}
    return {
        f"{places[found['where']]}I/O {name.capitalize()} Time": spent
        for found in _IO.finditer(value)
        for name, spent in _equal(found["parts"]).items()
    }


def _wal(value: str) -> dict[str, Any]:
    names = {"records": "WAL Records", "fpi": "WAL FPI", "bytes": "WAL Bytes", "buffers full": "WAL Buffers Full"}
    return {names[name]: count for name, count in _equal(value).items() if name in names}


def _heap_blocks(value: str) -> dict[str, Any]:
    return {f"{name.capitalize()} Heap Blocks": count for name, count in _equal(value).items()}


def _tuples(value: str) -> dict[str, Any]:
    return {f"Tuples {name.capitalize()}": count for name, count in _equal(value).items()}


def _estimates(value: str) -> dict[str, Any]:
    names = {"distinct keys": "Distinct Lookup Keys", "hit percent": "Hit Percent"}
    return {f"Estimated {names.get(name, name.title())}": count for name, count in _equal(value).items()}


def _memory(value: str) -> dict[str, Any]:
    return {f"{name.capitalize()} Memory": amount for name, amount in _equal(value.replace("kB", "")).items()}


def _sampling(value: str) -> dict[str, Any]:
    method, _, rest = value.partition(" (")
    parameters, _, seed = rest.partition(") REPEATABLE (")
    told = {"Sampling Method": method, "Sampling Parameters": listed(parameters.removesuffix(")"))}
    return told | ({"Repeatable Seed": seed.removesuffix(")")} if seed else {})


def _pairs(line: str) -> dict[str, str]:
    """`a: 1  b: 2`, two blanks between."""
    found = (_PAIR.fullmatch(part) for part in re.split(r"\s{2,}", line.strip()))
    return {pair["name"]: pair["value"] for pair in found if pair}


def _sort(line: str) -> dict[str, Any]:
    told = _pairs(line)
    space = next((name for name in ("Memory", "Disk") if name in told), "")
    used = {"Sort Space Used": _typed(told[space]), "Sort Space Type": space} if space else {}
    return {"Sort Method": told.get("Sort Method", ""), **used}


def _memoized(line: str) -> dict[str, Any]:
    return {_MEMOIZED.get(name, f"Cache {name}"): _typed(value) for name, value in _pairs(line).items()}


def _hashed(line: str) -> dict[str, Any]:
    """Of a hash table, or of an aggregation that has one."""
    told = _pairs(line)
    batches = "Hash Batches" if "Buckets" in told else "HashAgg Batches"
    names = {"Buckets": "Hash Buckets", "Batches": batches, "Memory Usage": "Peak Memory Usage"}
    found: dict[str, Any] = {}
    for name, value in told.items():
        own = names.get(name, name)
        both = _WITH_ORIGINAL.fullmatch(value)
        found[own] = number(both["now"]) if both else _typed(value)
        if own in ("Hash Buckets", "Hash Batches"):
            found[f"Original {own}"] = number(both["was"]) if both else found[own]
    return found


def _stored(line: str) -> dict[str, Any]:
    return {name: value if name == "Storage" else _typed(value) for name, value in _pairs(line).items()}


def _groups(line: str) -> dict[str, Any]:
    """Groups of an incremental sort, and the space that they took at most."""
    told = _pairs(line)
    name = next(iter(told))
    methods = listed(told.get("Sort Methods", told.get("Sort Method", "")))
    found: dict[str, Any] = {"Group Count": _typed(told[name]), "Sort Methods Used": methods}
    for space in ("Memory", "Disk"):
        if f"Peak {space}" in told:
            found[f"Sort Space {space}"] = {
                "Average Sort Space Used": _typed(told[f"Average {space}"]),
                "Peak Sort Space Used": _typed(told[f"Peak {space}"]),
            }
    return {name: found}


_MEMOIZED = {"Memory Usage": "Peak Memory Usage"}
_COMPOSED: dict[str, Callable[[str], dict[str, Any]]] = {
    "Sort Method": _sort,
    "Hits": _memoized,
    "Buckets": _hashed,
    "Batches": _hashed,
    "Planned Partitions": _hashed,
    "Storage": _stored,
    "Full-sort Groups": _groups,
    "Pre-sorted Groups": _groups,
}
_READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    **_COMPOSED,
    "Buffers": _buffers,
    "I/O Timings": _io_timings,
    "WAL": _wal,
    "Heap Blocks": _heap_blocks,
    "Tuples": _tuples,
    "Estimates": _estimates,
    "Sampling": _sampling,
    "Memory": _memory,
}
