"""What a week brought: every message as it was sent, and what became of the others."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.incidents.machine import Key
from dbplanmon_pipeline.core.model import DatabaseRef, hash_int
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.demo.week_script import DISTURBANCES, INSTANCE, names
from dbplanmon_pipeline.store import SqlStore

ALL = 100_000


@dataclass(frozen=True, slots=True)
class WeekMessage:
    """One message that a channel took.

    Attributes:
        at: when it took it.
        about: the statement, the instance or the day it is about.
        key: idempotency key.
    """

    at: datetime
    channel: str
    event: str
    about: str
    severity: str
    subject: str
    key: str


@dataclass(frozen=True, slots=True)
class WeekResult:
    """The contract of `dbplanmon demo --days N --json`.

    Attributes:
        days / cadence_minutes: what was played.
        messages: those that were taken by a channel, in order.
        counts: by channel and state, messages that are not on their way any more, or wait.
        held: by rule, how often a message had to wait or ended because of it.
        missed: names of disturbances without an incident.
        false_incidents: what incidents are about that nothing caused.
        restarts: how often the monitor was restarted within the story.
    """

    days: int
    cadence_minutes: int
    messages: tuple[WeekMessage, ...]
    counts: dict[str, dict[str, int]]
    rules: dict[str, int]
    missed: tuple[str, ...]
    false_incidents: tuple[str, ...]
    restarts: int = 0
    elapsed_seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Everything was noticed that broke, and nothing else."""
        return not self.missed and not self.false_incidents

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=2, default=_json) + "\n", encoding="utf-8")


def sent_messages(store: SqlStore) -> list[WeekMessage]:
    """What channels took, in the order in which they took it."""
    known = names()
    rows = store.alert_rows(states=[AlertState.DELIVERED], limit=ALL)
    return sorted((_message(store, row.alert, known) for row in rows), key=lambda one: (one.at, one.key))


def about(alert: Alert, known: Mapping[tuple[DatabaseRef, int], str]) -> str:
    """A name for what a message is about."""
    facts = alert.facts
    ref = DatabaseRef(str(facts.get("instance", "")), str(facts.get("database", "")))
    query = str(facts.get("query_hash", ""))
    if query and (name := known.get((ref, hash_int(query)))):
        return name
    return str(facts.get("instance") or alert.incident_id)


def counts_by_channel(store: SqlStore) -> dict[str, dict[str, int]]:
    """How many messages of each channel are in which state."""
    found: dict[str, dict[str, int]] = {}
    for (channel, state), count in sorted(store.alert_counts().items()):
        found.setdefault(channel, {})[state] = count
    return found


def counts_by_rule(store: SqlStore) -> dict[str, int]:
    """How many messages were not sent, or wait, by the rule that decided so."""
    counts: Counter[str] = Counter()
    for (_, rule), count in store.alert_decisions().items():
        if rule.value:
            counts[rule.value] += count
    return dict(sorted(counts.items()))


def missed(store: SqlStore, until: datetime) -> tuple[str, ...]:
    """Disturbances whose first spell was over by then and was not noticed."""
    noticed = beginnings(store)
    return tuple(
        one.name
        for one in DISTURBANCES
        if one.spells[0][1] <= until and not any(one.explains(key, at, spells=1) for key, at in noticed)
    )


def false_incidents(store: SqlStore) -> tuple[str, ...]:
    """What began or came back without a cause."""
    known = names()
    return tuple(
        known.get((DatabaseRef(key[0], key[1]), key[2]), INSTANCE)
        for key, at in beginnings(store)
        if not any(one.explains(key, at) for one in DISTURBANCES)
    )


def beginnings(store: SqlStore) -> list[tuple[Key, datetime]]:
    """Every beginning and return of an incident."""
    return [
        (incident.key, change.at)
        for incident in store.incidents(limit=ALL)
        for change in store.incident_events(incident.incident_id)
        if change.event in (IncidentEvent.OPENED, IncidentEvent.REOPENED)
    ]


def _message(store: SqlStore, alert: Alert, known: Mapping[tuple[DatabaseRef, int], str]) -> WeekMessage:
    taken = [delivery.attempted_at for delivery in store.deliveries(alert.alert_id) if delivery.succeeded]
    return WeekMessage(
        taken[-1], alert.channel, alert.event, about(alert, known), alert.severity, alert.subject, alert.alert_id
    )


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
