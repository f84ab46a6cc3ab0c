"""See to it that every open incident of a statement has its way back written down; nothing is ever executed here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.ports import Suggestion, SuggestionStore
from dbplanmon_pipeline.services.explain import ExplanationStore, explain_incident


class SuggestingStore(SuggestionStore, ExplanationStore, Protocol):
    """The parts of the store this use case touches."""

    def open_incidents(self) -> list[Incident]:
        """Incidents somebody may have to act on."""
        ...


@dataclass(frozen=True, slots=True)
class SuggestionReport:
    """How many suggestions are new, and all suggestions of open incidents."""

    added: int
    suggestions: tuple[Suggestion, ...]


def suggest_remediations(store: SuggestingStore, *, dialect: Callable[[str], Engine]) -> SuggestionReport:
    """Write down suggestions for open incidents; those already known keep their id and stay as they are."""
    incidents = store.open_incidents()
    found = [
        suggestion
        for incident in incidents
        for suggestion in explain_incident(store, incident, dialect(incident.instance)).suggestions
    ]
    added = store.save_suggestions(found)
    return SuggestionReport(added, tuple(store.suggestions([i.incident_id for i in incidents])) if incidents else ())
