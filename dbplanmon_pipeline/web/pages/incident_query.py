"""Which incidents a list shows, from the query of its address; the same for the page and its JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from starlette.exceptions import HTTPException

from dbplanmon_pipeline.core.incidents.incident import IncidentState
from dbplanmon_pipeline.core.model import Label, Severity
from dbplanmon_pipeline.core.ports.pages import IncidentCursor, IncidentFilter

OPEN, ANY = "open", "all"
PERIODS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "365d": timedelta(days=365),
}
_NAMES = ("state", "severity", "label", "instance", "database", "q", "period")
_LONGEST = 300
_OPEN_STATES = tuple(state for state in IncidentState if state.is_open)

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class IncidentQuery:
    """What somebody asked for.

    Attributes:
        chosen: as the form has it, by name of the field.
        after: where the page begins.
    """

    chosen: Mapping[str, str]
    after: IncidentCursor | None = None

    @property
    def is_narrowed(self) -> bool:
        """True where something beside the open ones of any kind is asked for."""
        return any(value for name, value in self.chosen.items() if name != "state") or self.chosen["state"] != OPEN

    def filter(self, now: datetime) -> IncidentFilter:
        """For the store.

        Raises:
            HTTPException: 400, a choice is none.
        """
        chosen = self.chosen
        period = chosen["period"]
        if period and period not in PERIODS:
            raise HTTPException(400, f"the period is one of {', '.join(PERIODS)}, not {period!r}")
        return IncidentFilter(
            states=_states(chosen["state"]),
            severities=_one_of(Severity, "severity", chosen["severity"]),
            labels=_one_of(Label, "label", chosen["label"]),
            instance=chosen["instance"],
            database=chosen["database"],
            text=chosen["q"],
            since=now - PERIODS[period] if period else None,
        )


def incident_query(parameters: Mapping[str, str]) -> IncidentQuery:
    """Read the query of an address.

    Raises:
        HTTPException: 400, the mark of the page makes no sense.
    """
    chosen = {name: parameters.get(name, "").strip()[:_LONGEST] for name in _NAMES}
    chosen["state"] = chosen["state"] or OPEN
    return IncidentQuery(chosen, _cursor(parameters.get("after", "")))


def cursor_text(cursor: IncidentCursor | None) -> str:
    """The mark of the next page, empty at the end."""
    return f"{cursor.weight!r}_{cursor.incident_id}" if cursor else ""


def _cursor(text: str) -> IncidentCursor | None:
    if not text:
        return None
    cost, _, incident_id = text.partition("_")
    try:
        value = float(cost)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not incident_id.isalnum():
        raise HTTPException(400, "`after` is the mark that the page before gave; leave it out for the first page")
    return IncidentCursor(value, incident_id)


def _states(text: str) -> tuple[IncidentState, ...]:
    if text == ANY:
        return ()
    return _OPEN_STATES if text == OPEN else _one_of(IncidentState, "state", text)


def _one_of(kind: type[Choice], name: str, text: str) -> tuple[Choice, ...]:
    if not text:
        return ()
    try:
        return (kind(text),)
    except ValueError:
        known = ", ".join(str(value) for value in kind)
        raise HTTPException(400, f"the {name} is one of {known}, not {text!r}") from None
