"""What the page of the fleet shows: how things are in a sentence, and each instance, those in trouble first; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.fleet import WHOLE_INSTANCE
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentState
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plain_words import counted, duration_words
from dbplanmon_pipeline.core.ports.pages import FleetRow
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.web.pages.fleet_cards import (
    CPU,
    ELAPSED,
    GONE,
    STALE_AFTER,
    DatabaseCard,
    Figures,
    InstanceGroup,
    database_card,
    instance_group,
    worst,
)
from dbplanmon_pipeline.web.pages.words import SEVERITIES

FEW_DATABASES = 40
"""A fleet of so few is shown unfolded."""

_NEVER_READ_AFTER = timedelta(hours=1)
"""A database that never was read is missed for so long after its last try, while others of its instance are tried."""


@dataclass(frozen=True, slots=True)
class FleetView:
    """The whole page.

    Attributes:
        headline / lead: how things are, in a sentence, and the next one.
        tone: colour class of the headline.
        metric: what the load is, `CPU` or `elapsed`.
    """

    headline: str
    lead: str
    tone: str
    counts: tuple[tuple[str, int, str], ...]
    groups: tuple[InstanceGroup, ...]
    databases: int
    metric: str


def fleet_view(
    rows: Sequence[FleetRow],
    incidents: Sequence[Incident],
    hours: Mapping[DatabaseRef, Floats],
    *,
    watched: Mapping[str, str],
    now: datetime,
    interval: timedelta,
) -> FleetView:
    """Put together what the store told.

    Args:
        rows: every database that a reading was ever tried of.
        incidents: open ones.
        hours: work by hour as `PageStore.database_hours` gives it.
        watched: engine of each enabled instance of the settings, by name.
        now: aware UTC.
        interval: of the collection.
    """
    last_tries = _last_tries(rows)
    rows = [row for row in rows if not _never_was(row, last_tries)]
    knows_cpu = any(np.isfinite(work[:, CPU]).any() for work in hours.values())
    figures = Figures(hours, CPU if knows_cpu else ELAPSED, now, interval, last_tries)
    by_place = _by_place(incidents)
    cards: dict[str, list[DatabaseCard]] = {}
    for row in rows:
        card = database_card(row, by_place.get((row.ref.instance, row.ref.database), []), figures)
        cards.setdefault(row.ref.instance, []).append(card)
    engines = {row.ref.instance: row.engine for row in rows} | dict(watched)
    groups = [
        instance_group(
            name,
            engine,
            cards.get(name, []),
            by_place.get((name, ""), []),
            figures,
            is_open=len(rows) <= FEW_DATABASES and name in watched,
            is_retired=name not in watched,
        )
        for name, engine in engines.items()
    ]
    groups.sort(key=_trouble_of_group)
    present = [card for name in watched for card in cards.get(name, []) if card.health is not GONE]
    unread = sum(card.is_unread for card in present)
    headline, tone = _headline(incidents, unread)
    return FleetView(
        headline,
        _lead(len(present), unread, [name for name in watched if name not in cards], len(watched), interval),
        tone,
        _counts(incidents),
        tuple(groups),
        len(rows),
        "CPU" if knows_cpu else "elapsed",
    )


def _last_tries(rows: Iterable[FleetRow]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for row in rows:
        if row.tried_at is not None:
            found[row.ref.instance] = max(found.get(row.ref.instance, row.tried_at), row.tried_at)
    return found


def _never_was(row: FleetRow, last_tries: Mapping[str, datetime]) -> bool:
    """True of what was never read and is tried no more: a database that was left out, or a list that is there again."""
    if row.read_at is not None or row.tried_at is None:
        return False
    patience = timedelta() if row.ref.database == WHOLE_INSTANCE else _NEVER_READ_AFTER
    return last_tries[row.ref.instance] - row.tried_at > patience


def _by_place(incidents: Iterable[Incident]) -> dict[tuple[str, str], list[Incident]]:
    found: dict[tuple[str, str], list[Incident]] = {}
    for incident in incidents:
        found.setdefault((incident.instance, incident.database), []).append(incident)
    return found


def _trouble_of_group(group: InstanceGroup) -> tuple[object, ...]:
    return (group.is_retired, *worst(group.incidents), -group.unread, group.name)


def _headline(incidents: Sequence[Incident], unread: int) -> tuple[str, str]:
    waiting = [i for i in incidents if i.state is IncidentState.NEW]
    if waiting:
        worst = max((i.severity for i in waiting), key=lambda severity: severity.rank)
        return f"{counted(len(waiting), 'incident')} {'needs' if len(waiting) == 1 else 'need'} somebody", worst.value
    if unread:
        return f"{counted(unread, 'database')} {'is' if unread == 1 else 'are'} not read well", "medium"
    if incidents:
        return (
            f"{counted(len(incidents), 'incident')} {'is' if len(incidents) == 1 else 'are'} being looked after",
            "held",
        )
    return "All quiet", "good"


def _lead(databases: int, unread: int, silent: Sequence[str], instances: int, interval: timedelta) -> str:
    """How far the fleet was read; `silent` are instances of which nothing ever was."""
    if not databases:
        return f"Nothing was read yet of {counted(instances, 'instance')}."
    where = counted(instances - len(silent), "instance")
    limit = interval * STALE_AFTER
    minutes, rest = divmod(limit, timedelta(minutes=1))
    within = f"within {duration_words(limit.total_seconds()) if rest else f'{minutes} minutes'}"
    if unread:
        lead = f"{databases - unread:,} of {counted(databases, 'database')} on {where} were read {within}."
    elif databases == 1:
        lead = f"The database was read {within}."
    else:
        lead = f"All {databases:,} databases on {where} were read {within}."
    return (
        f"{lead} Nothing was read yet of {', '.join(silent[:3])}{' and others' * (len(silent) > 3)}."
        if silent
        else lead
    )


def _counts(incidents: Sequence[Incident]) -> tuple[tuple[str, int, str], ...]:
    """Word, number and colour class of each severity."""
    return tuple(
        (word, sum(i.severity is severity for i in incidents), severity.value) for severity, word in SEVERITIES.items()
    )
