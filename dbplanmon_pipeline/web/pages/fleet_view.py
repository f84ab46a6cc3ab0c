"""What the page of the fleet shows, from rows of the store: health, trouble and load of each database; pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from markupsafe import Markup

from dbplanmon_pipeline.core.counters import Floats
from dbplanmon_pipeline.core.incidents import Incident, IncidentState
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.plain_words import one_line, seconds_words
from dbplanmon_pipeline.core.ports.pages import FleetRow
from dbplanmon_pipeline.web.charts.sparkline import sparkline
from dbplanmon_pipeline.web.pages.words import ENGINES, SEVERITIES, Badge, ago_words, counted, severity_badge

STALE_AFTER = 3
"""A database that was not read for so many intervals is behind."""

FEW_DATABASES = 40
"""A fleet of so few is shown unfolded."""

_ELAPSED, _CPU = 1, 2
_MOST_WORDS = 300

OK = Badge("good", "tick", "Read")
BEHIND = Badge("medium", "diamond", "Behind")
FAILING = Badge("high", "triangle", "Not read")
NEVER = Badge("unknown", "ring", "Not read yet")


@dataclass(frozen=True, slots=True)
class DatabaseCard:
    """One database.

    Attributes:
        health / fresh / why: sign of the last reading, its age, and what went wrong.
        source: where its figures come from.
        incidents: open ones by severity, the worst first.
        extra_seconds: what they cost per hour.
        load: CPU or elapsed seconds in the last whole hour; NaN unknown.
        spark: the same over a day.
    """

    ref: DatabaseRef
    health: Badge
    fresh: str
    why: str
    source: str
    incidents: tuple[tuple[Badge, int], ...]
    extra_seconds: float
    load: float
    spark: Markup

    @property
    def words(self) -> str:
        """What the filter box looks at."""
        found = [self.ref.instance, self.ref.database, self.health.word, self.source]
        return " ".join([*found, *(badge.word for badge, _ in self.incidents)]).lower()

    @property
    def is_in_trouble(self) -> bool:
        """True where somebody should look."""
        return bool(self.incidents) or self.health in (BEHIND, FAILING)


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """One instance with its databases, those in trouble first.

    Attributes:
        own: open incidents of the instance as a whole.
        is_open: unfolded.
        is_retired: the settings no longer name it.
    """

    name: str
    engine: str
    own: tuple[Incident, ...]
    databases: tuple[DatabaseCard, ...]
    incidents: tuple[tuple[Badge, int], ...]
    unread: int
    load: float
    spark: Markup
    is_open: bool
    is_retired: bool = False


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
        rows: every database ever read.
        incidents: open ones.
        hours: work by hour as `PageStore.database_hours` gives it.
        watched: engine of each enabled instance of the settings, by name.
        now: aware UTC.
        interval: of the collection.
    """
    watched_rows = [row for row in rows if row.ref.instance in watched]
    metric = _CPU if any(np.isfinite(work[:, _CPU]).any() for work in hours.values()) else _ELAPSED
    by_place = _by_place(incidents)
    cards = [
        _card(row, by_place.get((row.ref.instance, row.ref.database), []), hours, metric, now, interval) for row in rows
    ]
    unfolded = len(rows) <= FEW_DATABASES
    groups = [
        _group(
            name,
            engine,
            [card for card in cards if card.ref.instance == name],
            by_place.get((name, ""), []),
            hours,
            metric,
            unfolded,
        )
        for name, engine in _instances(rows, watched).items()
    ]
    groups = [
        replace(group, is_retired=True, is_open=False) if group.name not in watched else group for group in groups
    ]
    groups.sort(key=_trouble_of_group)
    unread = sum(card.health is not OK for card in cards if card.ref.instance in watched)
    headline, tone = _headline(incidents, unread, len(watched_rows))
    return FleetView(
        headline,
        _lead(len(watched_rows), unread, len(watched), interval),
        tone,
        _counts(incidents),
        tuple(groups),
        len(rows),
        "CPU" if metric == _CPU else "elapsed",
    )


def _instances(rows: Sequence[FleetRow], watched: Mapping[str, str]) -> dict[str, str]:
    return {row.ref.instance: row.engine for row in rows} | dict(watched)


def _by_place(incidents: Iterable[Incident]) -> dict[tuple[str, str], list[Incident]]:
    found: dict[tuple[str, str], list[Incident]] = {}
    for incident in incidents:
        found.setdefault((incident.instance, incident.database), []).append(incident)
    return found


def _card(
    row: FleetRow,
    incidents: Sequence[Incident],
    hours: Mapping[DatabaseRef, Floats],
    metric: int,
    now: datetime,
    interval: timedelta,
) -> DatabaseCard:
    health = _health(row, now, interval)
    work = hours.get(row.ref)
    load, spark = _load([] if work is None else [work], metric, row.ref.database)
    return DatabaseCard(
        row.ref,
        health,
        ago_words(row.read_at, now) if row.read_at else "never",
        one_line(row.message, _MOST_WORDS) if health is not OK else "",
        _source(row),
        _by_severity(incidents),
        _cost(incidents),
        load,
        spark,
    )


def _health(row: FleetRow, now: datetime, interval: timedelta) -> Badge:
    if row.status is None and row.read_at is None:
        return NEVER
    if row.status is CollectionStatus.FAILED:
        return FAILING
    is_behind = row.read_at is None or now - row.read_at > interval * STALE_AFTER
    return BEHIND if is_behind else OK


def _source(row: FleetRow) -> str:
    if row.engine == "postgres":
        return "pg_stat_statements"
    if row.query_store.startswith("READ_WRITE"):
        return "Query Store"
    if row.query_store:
        return f"plan cache (Query Store {one_line(row.query_store, 40)})"
    return ENGINES.get(row.engine, row.engine)


def _by_severity(incidents: Sequence[Incident]) -> tuple[tuple[Badge, int], ...]:
    counts = {severity: sum(i.severity is severity for i in incidents) for severity in SEVERITIES}
    return tuple((severity_badge(severity), count) for severity, count in counts.items() if count)


def _cost(incidents: Sequence[Incident]) -> float:
    return sum(i.extra_seconds_per_hour for i in incidents if math.isfinite(i.extra_seconds_per_hour))


def _load(works: Sequence[Floats], metric: int, name: str) -> tuple[float, Markup]:
    """Seconds in the last hour that is known, and the line of a day."""
    if not works:
        return math.nan, Markup("")
    stacked = np.stack([work[:, metric] for work in works]) / 1e6
    known = np.isfinite(stacked).any(axis=0)
    seconds = np.where(known, np.nansum(stacked, axis=0), np.nan)
    if not known.any():
        return math.nan, Markup("")
    last = float(seconds[np.flatnonzero(known)[-1]])
    highest = seconds_words(float(np.nanmax(seconds)))
    words = (
        f"{one_line(name, 80)}: {seconds_words(last)} in the last hour, at most {highest} in one hour of the last 24"
    )
    return last, sparkline(seconds.tolist(), words)


def _group(
    name: str,
    engine: str,
    cards: Sequence[DatabaseCard],
    own: Sequence[Incident],
    hours: Mapping[DatabaseRef, Floats],
    metric: int,
    unfolded: bool,
) -> InstanceGroup:
    ordered = tuple(sorted(cards, key=_trouble))
    works = [hours[card.ref] for card in cards if card.ref in hours]
    load, spark = _load(works, metric, name)
    counts: dict[Badge, int] = {}
    for badge, count in [*_by_severity(own), *(pair for card in cards for pair in card.incidents)]:
        counts[badge] = counts.get(badge, 0) + count
    worst_first = [severity_badge(severity) for severity in SEVERITIES]
    return InstanceGroup(
        name,
        ENGINES.get(engine, engine),
        tuple(own),
        ordered,
        tuple((badge, counts[badge]) for badge in worst_first if badge in counts),
        sum(card.health in (BEHIND, FAILING) for card in cards),
        load,
        spark,
        unfolded,
    )


def _trouble(card: DatabaseCard) -> tuple[object, ...]:
    return (*_worst(card.incidents), card.health is OK, -card.extra_seconds, card.ref.database)


def _trouble_of_group(group: InstanceGroup) -> tuple[object, ...]:
    return (group.is_retired, *_worst(group.incidents), -group.unread, group.name)


def _worst(incidents: Sequence[tuple[Badge, int]]) -> tuple[int, int]:
    """Place of the worst severity, and how many of it; smaller is worse."""
    if not incidents:
        return (len(SEVERITIES), 0)
    badge, count = incidents[0]
    return ([severity_badge(severity) for severity in SEVERITIES].index(badge), -count)


def _headline(incidents: Sequence[Incident], unread: int, databases: int) -> tuple[str, str]:
    waiting = [i for i in incidents if i.state is IncidentState.NEW]
    if waiting:
        worst = max((i.severity for i in waiting), key=lambda severity: severity.rank)
        return f"{counted(len(waiting), 'incident')} {'needs' if len(waiting) == 1 else 'need'} somebody", worst.value
    if unread and databases:
        return f"{counted(unread, 'database')} {'is' if unread == 1 else 'are'} not read well", "medium"
    if incidents:
        return (
            f"{counted(len(incidents), 'incident')} {'is' if len(incidents) == 1 else 'are'} being looked after",
            "held",
        )
    return "All quiet", "good"


def _lead(databases: int, unread: int, instances: int, interval: timedelta) -> str:
    where = counted(instances, "instance")
    if not databases:
        return f"Nothing was read yet of {where}."
    within = f"within {interval * STALE_AFTER / timedelta(minutes=1):g} minutes"
    if unread:
        return f"{databases - unread:,} of {counted(databases, 'database')} on {where} were read {within}."
    if databases == 1:
        return f"The database was read {within}."
    return f"All {databases:,} databases on {where} were read {within}."


def _counts(incidents: Sequence[Incident]) -> tuple[tuple[str, int, str], ...]:
    """Word, number and colour class of each severity."""
    return tuple(
        (word, sum(i.severity is severity for i in incidents), severity.value) for severity, word in SEVERITIES.items()
    )
