"""The settings classes read as data: which class holds a path, and what a field expects, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.instances import DatabaseSelection
from dbplanmon_pipeline.settings.secret import FORMS, SecretReference
from dbplanmon_pipeline.settings.values import format_duration

_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    timedelta: "duration",
    time: "time of day",
    str: "text",
    Path: "path",
    SecretReference: "secret",
    DatabaseSelection: "list of names, mapping or number",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field takes.

    Attributes:
        kind: one or two words for a table.
        low / high: bounds as text, empty where there are none.
        words: the choices of an enumeration.
    """

    kind: str
    low: str = ""
    high: str = ""
    words: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """`1 to 500`, or the choices, or nothing."""
        if self.words:
            return ", ".join(self.words)
        return f"{self.low} to {self.high}" if self.low and self.high else ""

    def expectation(self) -> str:
        """How a person should write it."""
        if self.words:
            return f"one of {self.bounds}"
        article = {"true or false": "", "text": ""}.get(self.kind, "a ")
        example = {"duration": " such as 30s, 5m, 4h or 90d", "time of day": ' in UTC such as "02:00"'}.get(
            self.kind, ""
        )
        secret = f": {FORMS}" if self.kind == "secret" else ""
        limits = f", from {self.bounds}" if self.bounds else ""
        return f"{article}{self.kind}{example}{secret}{limits}"


def shape_of(field: FieldInfo) -> Shape:
    """What a field of a section takes."""
    return _shape(field.annotation, list(field.metadata))


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """Every settings class an annotation speaks of, item types of lists included."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from sections_in(argument)


def sections_at(root: type[Section], path: tuple[str | int, ...], data: Any) -> list[type[Section]]:
    """The classes that may hold the value at a path; `data` tells kinds of channels apart by their `type`."""
    current = [root]
    for part in path:
        if DatabaseSelection in current and isinstance(part, int):
            current = list(sections_in(DatabaseSelection.model_fields["entries"].annotation))
        elif isinstance(part, str):
            current = [
                section
                for holder in current
                if part in holder.model_fields
                for section in sections_in(holder.model_fields[part].annotation)
            ]
        data = _step(data, part)
        current = [section for section in current if _fits(section, data)]
    return current


def field_at(root: type[Section], path: tuple[str | int, ...], data: Any) -> FieldInfo | None:
    """The field at a path, None where a path ends in a list or in a free mapping."""
    if not path or not isinstance(path[-1], str):
        return None
    parent = data
    for part in path[:-1]:
        parent = _step(parent, part)
    for holder in sections_at(root, path[:-1], data):
        if path[-1] in holder.model_fields:
            return holder.model_fields[path[-1]]
    return None


def _step(data: Any, part: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(part)
    return data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None


def _fits(section: type[Section], data: Any) -> bool:
    if "type" not in section.model_fields or not isinstance(data, Mapping) or not isinstance(data.get("type"), str):
        return True
    return data["type"] in get_args(section.model_fields["type"].annotation)


def _shape(annotation: Any, metadata: list[Any]) -> Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0], [*metadata, *arguments[1:]])
    if origin in (Union, UnionType):
        return _shape(next(member for member in arguments if member is not type(None)), metadata)
    if origin is Literal:
        return Shape("choice", words=tuple(map(str, arguments)))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Shape("choice", words=tuple(annotation))
    if annotation in _KINDS:
        return Shape(_KINDS[annotation], *_bounds(metadata))
    return Shape("list" if origin is tuple else "mapping")


def _bounds(metadata: list[Any]) -> tuple[str, str]:
    low = high = ""
    for item in metadata:
        if isinstance(item, FieldInfo):
            inner_low, inner_high = _bounds(list(item.metadata))
            low, high = low or inner_low, high or inner_high
        elif isinstance(item, annotated_types.Ge):
            low = _limit(item.ge)
        elif isinstance(item, annotated_types.Le):
            high = _limit(item.le)
    return low, high


def _limit(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    return str(int(value)) if value == int(value) else str(value)


def leaf_paths(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a section and of the sections in it, lists not entered."""
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from leaf_paths(inner, (*path, name))
        else:
            yield (*path, name)
