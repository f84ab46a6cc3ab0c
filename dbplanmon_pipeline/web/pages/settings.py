"""`/settings`: what holds, and where each value came from; never a secret."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.templating import render

MASK = "********"
MOST_ROWS_PER_SECTION = 2_000
SHORT = 40
_SECRET_NAME = re.compile(r"pass|pwd|token|secret|api_?key|routing_key|credential|private", re.IGNORECASE)
_REFERENCE = re.compile(r"(?:env|file|keyring):[^\s@]+")
_STATEMENTS = ("sql", "procedure")
"""Keys that hold statements; these may hold literals."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One value; `source` is the place it was written at, empty for a default."""

    key: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class SettingGroup:
    """A section of the settings."""

    title: str
    rows: tuple[SettingRow, ...]
    left_out: int = 0

    @property
    def written(self) -> int:
        """How many were set by hand."""
        return sum(bool(row.source) for row in self.rows)

    @property
    def is_short(self) -> bool:
        """True where it is no burden to show it unfolded."""
        return len(self.rows) <= SHORT


@require(Role.VIEWER)
def settings(request: Request) -> Response:
    """The page."""
    groups = setting_groups(context_of(request).settings)
    return render(
        request,
        "settings.html",
        groups=groups,
        written=sum(group.written for group in groups),
        words=request.query_params.get("q", "")[:200],
    )


def setting_groups(loaded: Settings) -> list[SettingGroup]:
    """All values, by section, in the order of the reference."""
    effective = loaded.effective()
    sources: Mapping[str, str] = effective.pop("sources")
    # In a list only some keys of an item were written; the loader knows the place of the list as a whole.
    by_hand = {key for name, value in _written(loaded).items() for key, _ in _flat(name, value)}
    plain, sections = [], []
    for name, value in effective.items():
        rows = [
            SettingRow(key, shown, _source(key, sources) if key in by_hand else "") for key, shown in _flat(name, value)
        ]
        if isinstance(value, Mapping | list) and rows:
            kept = rows[:MOST_ROWS_PER_SECTION]
            sections.append(SettingGroup(name, tuple(kept), len(rows) - len(kept)))
        else:
            plain += rows
    return [SettingGroup("general", tuple(plain)), *sections] if plain else sections


def _written(loaded: Settings) -> dict[str, Any]:
    return loaded.model_dump(mode="json", exclude_unset=True)


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for place, inner in enumerate(value):
            yield from _flat(f"{key}.{_name_of(inner) or place}", inner)
    elif value is not None:
        yield key, _shown(key, value)


def _name_of(value: Any) -> str:
    return str(value.get("name") or "") if isinstance(value, Mapping) else ""


def _shown(key: str, value: Any) -> str:
    """A value as text; what may hold a secret or a literal is masked."""
    last = key.rpartition(".")[2]
    if last in _STATEMENTS and isinstance(value, str):
        return f"a text of {len(value):,} characters"
    if _SECRET_NAME.search(last) and isinstance(value, str) and not _REFERENCE.fullmatch(value):
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(str(inner) for inner in _some(value)) or "none"
    return str(value) if value != {} else "none"


def _some(values: Sequence[Any], most: int = 50) -> list[Any]:
    return [*values[:most], f"and {len(values) - most:,} more"] if len(values) > most else list(values)


def _source(key: str, sources: Mapping[str, str]) -> str:
    """Of the value, or of the list or mapping that holds it."""
    while key:
        if key in sources:
            return sources[key]
        key = key.rpartition(".")[0]
    return ""
