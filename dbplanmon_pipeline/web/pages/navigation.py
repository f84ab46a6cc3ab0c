"""The sections of the status page, related ones together, and which of them a page belongs to."""

from collections.abc import Callable
from dataclasses import dataclass

_GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]], ...] = (
    ("Fleet", (("Fleet", "fleet"),), ("databases",)),
    ("Incidents", (("Incidents", "incidents"),), ()),
    ("Statements", (("Hotspots", "hotspots"), ("Plan changes", "plan_changes")), ("statements", "plans")),
    ("KPIs", (("KPIs", "kpis"),), ()),
    ("Alerts", (("Alerts", "alerts"),), ()),
    ("Monitor", (("Collector", "collector"), ("Settings", "settings"), ("Audit", "audit")), ()),
)
"""Title of each group, its pages by title and route, and how the paths of further pages of it begin."""


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation; `current` is `page`, `true` within it, or empty; groups of one page have no parts."""

    title: str
    path: str
    current: str
    parts: tuple["Section", ...] = ()


def sections(here: str, to: Callable[[str], str]) -> list[Section]:
    """All groups, the one of the page `here` marked."""
    home = to("fleet")
    found = []
    for title, pages, more in _GROUPS:
        parts = tuple(Section(words, to(name), _current(here, to(name), home)) for words, name in pages)
        inside = any(part.current for part in parts) or here.startswith(tuple(f"{home}{name}/" for name in more))
        alone = len(parts) == 1
        current = parts[0].current if alone and parts[0].current else "true" if inside else ""
        found.append(Section(title, parts[0].path, current, () if alone else parts))
    return found


def _current(here: str, path: str, home: str) -> str:
    if here == path:
        return "page"
    return "true" if path != home and here.startswith(f"{path}/") else ""
