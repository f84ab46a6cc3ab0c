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
from dbplanmon_pipeline.settings.schema import field_at, sections_at, shape_of
from dbplanmon_pipeline.settings.secret import MASK, has_credentials, mask_url
from dbplanmon_pipeline.settings.suggest import did_you_mean

Path = tuple[str | int, ...]

_SECRET_KEY = re.compile(
    r"passw|pwd|secret|token|key|credential|login|sql$|procedure|url|server|archive|dsn|^databases$", re.IGNORECASE
)
_LONGEST_VALUE = 60


def problem_at(root: Node, path: Path, text: str) -> Problem:
    """A problem with the key at a path of the merged tree."""
    return Problem(origin_at(root, path), f"{path_text(path)}: {text}" if path else text)


def problem_of(error: ErrorDetails, settings: type[Section], root: Node, data: Any) -> Problem:
    """One error of pydantic as one line; `data` is what was validated."""
    path = written_path(error["loc"], data)
    return problem_at(root, path, _text(error, settings, path, data))


def written_path(location: tuple[str | int, ...], data: Any) -> Path:
    """The path as the operator wrote it, without what pydantic adds for short forms and kinds of channels."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        is_last = index == len(location) - 1
        if isinstance(data, Mapping):
            if part not in data and (part == "[key]" or (not is_last and part == data.get("type"))):
                continue
            data = data.get(part)
        elif isinstance(data, list):
            if not isinstance(part, int):
                continue
            data = data[part] if part < len(data) else None
        else:
            if part in ("entries", "count", "name"):
                continue
            data = None
        path.append(part)
    return tuple(path)


def shown_value(path: Path, value: Any) -> str:
    """A value for a message: short, one line, and masked wherever it may be a secret."""
    if isinstance(value, Mapping | list | tuple):
        return "a list" if isinstance(value, list | tuple) else "a mapping"
    if any(isinstance(part, str) and _SECRET_KEY.search(part) for part in path):
        return mask_url(value) if isinstance(value, str) else MASK
    text = str(value)
    if isinstance(value, str) and ("://" in text or has_credentials(text)):
        return mask_url(text)
    shown = json.dumps(value, ensure_ascii=True, default=str)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."


def _text(error: ErrorDetails, settings: type[Section], path: Path, data: Any) -> str:
    kind = error["type"]
    holders = sections_at(settings, path[:-1], data)
    if kind == "extra_forbidden":
        known = [name for holder in holders for name in holder.model_fields]
        return f"unknown key{did_you_mean(str(path[-1]), known)}"
    field = field_at(settings, path, data)
    if kind == "missing":
        meaning = f"; {field.description}" if field is not None else ""
        return f"is required{meaning}"
    if kind.startswith("union_tag"):
        return _channel_text(error, settings, path, data)
    shown = shown_value(path, error["input"])
    if kind == "value_error":
        return f"{shown} {_joined(str(error.get('ctx', {}).get('error', '')))}"
    expected = shape_of(field).expectation() if field is not None else _plain_words(error)
    choices = shape_of(field).words if field is not None else ()
    hint = (
        did_you_mean(str(error["input"]), choices) if choices and not isinstance(error["input"], Mapping | list) else ""
    )
    return f"{shown} is not right; expected {expected}{hint if hint.startswith('; did') else ''}"


def _channel_text(error: ErrorDetails, settings: type[Section], path: Path, data: Any) -> str:
    kinds = sorted(
        word
        for section in sections_at(settings, path[:-1], data)
        if "type" in section.model_fields
        for word in shape_of(section.model_fields["type"]).words
    )
    tag = str(error.get("ctx", {}).get("tag", ""))
    hint = did_you_mean(tag, kinds)
    return f"type: expected one of {', '.join(kinds)}{hint if hint.startswith('; did') else ''}"


def _plain_words(error: ErrorDetails) -> str:
    """What pydantic expects, for places that are no field: items of lists, keys and values of free mappings."""
    words = {
        "string_type": "text; put quotes around it",
        "model_type": "a mapping or a name",
        "string_pattern_mismatch": "lower-case letters, digits, _ and .",
        "string_too_long": "a shorter text",
        "string_too_short": "a text",
    }
    return words.get(error["type"], "another kind of value")


def _joined(message: str) -> str:
    """A message of a validator after the value: `expected ...` gets a verb before it."""
    return f"is not right; {message}" if message.startswith("expected") else message
