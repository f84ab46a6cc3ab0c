"""The sections of the status page; one whose route does not exist is not shown."""

from collections.abc import Callable
from dataclasses import dataclass

_SECTIONS = (
    ("Fleet", "fleet"),
    ("Incidents", "incidents"),
    ("Plan changes", "plan_changes"),
    ("Hotspots", "hotspots"),
    ("KPIs", "kpis"),
    ("Alerts", "alerts"),
    ("Collector", "collector"),
    ("Settings", "settings"),
    ("Audit", "audit"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation; `current` is `page`, `true` within it, or empty."""

    title: str
    path: str
    current: str


def sections(here: str, to: Callable[[str], str]) -> list[Section]:
    """Those that exist, the one of the page `here` marked."""
    found = [(title, to(name)) for title, name in _SECTIONS]
    return [Section(title, path, _current(here, path, is_first=path == found[0][1])) for title, path in found if path]


def _current(here: str, path: str, *, is_first: bool) -> str:
    if here == path:
        return "page"
    return "true" if not is_first and here.startswith(f"{path}/") else ""
