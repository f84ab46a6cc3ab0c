"""What validation found, in lines for people: where, which key, which value, what would be right."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.checks import path_text
from dbplanmon_pipeline.settings.document import Node, Problem
from dbplanmon_pipeline.settings.layers import origin_at
from dbplanmon_pipeline.settings.schema import field_at, leaf_paths, sections_at, shape_of
from dbplanmon_pipeline.settings.secret import MASK, mask_url
from dbplanmon_pipeline.settings.suggest import did_you_mean, nearest

Path = tuple[str | int, ...]

_SECRET_KEY = re.compile(
    r"passw|pwd|secret|token|_key|credential|login|headers|proxy|sql|procedure|server|dsn", re.IGNORECASE
)
_ADDRESS_KEYS = ("url", "archive")
_QUOTED_WORD = re.compile(r"'([^']+)'")
_LONGEST_VALUE = 60
_ITEM_EXPECTATIONS = {
    "string_type": "text; put quotes around it",
    "string_pattern_mismatch": "a name of lower-case letters, digits, _ and .",
    "string_too_long": "a shorter text",
    "string_too_short": "a text",
}


def problem_at(root: Node, path: Path, text: str) -> Problem:
    """A problem with the key at a path of the merged tree."""
    return Problem(origin_at(root, path), f"{path_text(path)}: {text}" if path else text)


def problem_of(error: ErrorDetails, settings: type[Section], root: Node, data: Any) -> Problem:
    """One error of pydantic as one line; `data` is what was validated."""
    path = written_path(error["loc"], data)
    kind = error["type"]
    if kind.startswith("union_tag"):
        path = (*path, "type")
        return problem_at(root, path, _kind_text(error, settings, path[:-1], data))
    if kind == "extra_forbidden":
        return problem_at(root, path, _unknown_key_text(settings, path, data))
    return problem_at(root, path, _value_text(error, settings, path, data))


def written_path(location: Path, data: Any) -> Path:
    """The path as the operator wrote it, without what pydantic adds for short forms and kinds of channels."""
    path: list[str | int] = []
    for part in location:
        if isinstance(data, Mapping):
            if part not in data and part == data.get("type"):
                continue
            data = data.get(str(part))
        elif isinstance(data, list):
            if not isinstance(part, int):
                continue
            data = data[part]
        elif part in ("entries", "count", "name", "[key]"):
            continue
        path.append(part)
    return tuple(path)


def value_at(data: Any, path: Path) -> Any:
    """What was written at a path."""
    for part in path:
        if isinstance(data, Mapping):
            data = data.get(str(part))
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    return data


def shown_value(path: Path, value: Any) -> str:
    """A value for a message: short, one line, and masked wherever it may hold a secret or a statement."""
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    if any(isinstance(part, str) and _SECRET_KEY.search(part) for part in path):
        return MASK
    text = str(value)
    if path[-1:] in [(key,) for key in _ADDRESS_KEYS] or "://" in text or "@" in text:
        return mask_url(text)
    shown = json.dumps(value, ensure_ascii=True, default=str)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."


def _unknown_key_text(settings: type[Section], path: Path, data: Any) -> str:
    """Of a key nobody knows, its value is never shown: it may be a misspelt password."""
    name = str(path[-1])
    known = [key for holder in sections_at(settings, path[:-1], data) for key in holder.model_fields]
    elsewhere = [leaf for leaf in leaf_paths(settings) if leaf[-1] == name and len(leaf) > 1]
    if elsewhere and not nearest(name, known):
        places = " or ".join(path_text(leaf) for leaf in elsewhere[:3])
        return f"unknown key here; it belongs at {places}"
    return f"unknown key{did_you_mean(name, known)}"


def _kind_text(error: ErrorDetails, settings: type[Section], path: Path, data: Any) -> str:
    kinds = [
        word
        for section in sections_at(settings, path[:-1], data)
        if "type" in section.model_fields
        for word in shape_of(section.model_fields["type"]).words
    ]
    tag = error.get("ctx", {}).get("tag")
    begin = "is required" if tag is None else f"{shown_value(path, tag)} is not right"
    return f"{begin}; expected one of {', '.join(kinds)}{_near(tag, kinds)}"


def _value_text(error: ErrorDetails, settings: type[Section], path: Path, data: Any) -> str:
    field = field_at(settings, path, data)
    if error["type"] == "missing":
        meaning = (field.description or "") if field is not None else ""
        return f"is required: {meaning[:1].lower()}{meaning[1:].rstrip('.')}"
    if error["loc"][-1] == "[key]":
        return f"is not right; expected {_ITEM_EXPECTATIONS.get(error['type'], 'a name')}"
    written = value_at(data, path)
    shown = shown_value(path, written)
    if error["type"] == "value_error":
        message = str(error["ctx"]["error"])
        if isinstance(written, Mapping):
            return message
        return f"{shown} is not right; {message}" if message.startswith("expected") else f"{shown} {message}"
    if field is None:
        return f"{shown} is not right; expected {_expected_item(error, path, written)}"
    shape = shape_of(field)
    return f"{shown} is not right; expected {_expected(error, shape.expectation())}{_near(written, shape.words)}"


def _expected_item(error: ErrorDetails, path: Path, written: Any) -> str:
    """The expectation of an entry of a list, which is no field of its own."""
    if error["type"] == "enum":
        words = _QUOTED_WORD.findall(error["ctx"]["expected"])
        return f"one of {', '.join(words)}{_near(written, words)}"
    wanted = "a name in quotes, or a mapping" if path[-2:-1] == ("databases",) else "a mapping"
    return _ITEM_EXPECTATIONS.get(error["type"], wanted)


def _expected(error: ErrorDetails, expectation: str) -> str:
    """The expectation of a field, with the limit of its length where that was broken."""
    limits = error.get("ctx", {})
    if error["type"] in ("string_too_short", "too_short"):
        return f"{expectation}, not an empty one"
    if error["type"] in ("string_too_long", "too_long"):
        return f"{expectation}, at most {limits['max_length']} long"
    return f"{expectation}; put quotes around it" if error["type"] == "string_type" else expectation


def _near(value: Any, words: list[str] | tuple[str, ...]) -> str:
    near = nearest(value, words) if isinstance(value, str) else ""
    return f"; did you mean {near}?" if near else ""
