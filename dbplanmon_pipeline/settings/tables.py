"""The reference of all settings, made from the classes themselves."""

from collections.abc import Iterator
from datetime import time, timedelta
from importlib.resources import files
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from dbplanmon_pipeline.settings import environment
from dbplanmon_pipeline.settings.base import Override, Section
from dbplanmon_pipeline.settings.dormant import is_dormant
from dbplanmon_pipeline.settings.model import Settings
from dbplanmon_pipeline.settings.schema import sections_in, shape_of
from dbplanmon_pipeline.settings.values import format_clock, format_duration

_HEADER = "| key | type | default | bounds | meaning | environment variable |\n|---|---|---|---|---|---|"
_OPEN = "[]"


def reference_markdown() -> str:
    """All sections as one Markdown page: a table per section."""
    intro = files("dbplanmon_pipeline.settings").joinpath("introduction.md").read_text("utf-8").rstrip()
    top = _rows_of((), Settings)
    parts = [intro, "## Top level\n\n" + _table((), top)]
    for name, field in Settings.model_fields.items():
        for section in _below((), field):
            parts += _chapters((_heading(name, field),), section)
    # What all channels have in common is described once.
    return "\n\n".join(dict.fromkeys(parts)) + "\n"


def _chapters(path: tuple[str, ...], section: type[Section]) -> Iterator[str]:
    """A section and those in it, each with its heading, its purpose and its table."""
    heading = ".".join(path).replace(".entries", "") + _kind_suffix(section)
    purpose = (section.__doc__ or "").split("\n\n")[0].replace("\n    ", " ")
    own = _rows_of(path, section)
    table = f"\n\n{_table(path, own)}" if own else ""
    yield f"## {heading}\n\n{purpose}{table}"
    for name, field in section.model_fields.items():
        for below in _below(path, field):
            yield from _chapters((*path, _heading(name, field)), below)


def _table(path: tuple[str, ...], fields: list[tuple[str, FieldInfo]]) -> str:
    return "\n".join([_HEADER, *(_row(path, name, field) for name, field in fields)])


def _row(path: tuple[str, ...], name: str, field: FieldInfo) -> str:
    shape = shape_of(field)
    meaning = f"{field.description or ''}{' *Not in effect yet.*' if is_dormant((*path, name)) else ''}"
    cells = (f"`{name}`", shape.kind, _default(field), shape.bounds, meaning, _variable((*path, name)))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if value is None or isinstance(value, Override):
        return "not set"
    return f"`{_default_text(value)}`"


def _default_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, time):
        return f'"{format_clock(value)}"'
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _variable(path: tuple[str, ...]) -> str:
    known: dict[tuple[str, ...], str] = {("environment",): environment.ENVIRONMENT, ("state_dir",): environment.STATE}
    if any(part.endswith(_OPEN) for part in path):
        return ""
    return f"`{known.get(path) or environment.override_name(path)}`"


def _rows_of(path: tuple[str, ...], section: type[Section]) -> list[tuple[str, FieldInfo]]:
    return [(name, field) for name, field in section.model_fields.items() if not _below(path, field)]


def _below(path: tuple[str, ...], field: FieldInfo) -> list[type[Section]]:
    """Sections with a chapter of their own; overrides have theirs under `defaults` only."""
    found = list(sections_in(field.annotation))
    return [section for section in found if path == ("defaults",) or not issubclass(section, Override)]


def _heading(name: str, field: FieldInfo) -> str:
    return name + _OPEN if get_origin(field.annotation) is tuple else name


def _kind_suffix(section: type[Section]) -> str:
    kind = section.model_fields.get("type")
    return f" (type: {get_args(kind.annotation)[0]})" if kind is not None else ""
