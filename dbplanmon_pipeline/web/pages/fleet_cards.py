"""One database or instance as the page of the fleet shows it: health, trouble and load; pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
from markupsafe import Markup

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.plain_words import one_line, seconds_words
from dbplanmon_pipeline.core.ports.pages import FleetRow
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.web.charts.sparkline import sparkline
from dbplanmon_pipeline.web.pages.words import ENGINES, SEVERITIES, Badge, ago_words, severity_badge

STALE_AFTER = 3
"""A database that was not read for so many intervals is behind."""

GONE_AFTER = timedelta(days=1)
"""A database that was not even tried for so long, while others of its instance were, is there no more."""

ELAPSED, CPU = 1, 2
"""Columns of `PageStore.database_hours`."""

_MOST_WORDS = 300

OK = Badge("good", "tick", "Read")
BEHIND = Badge("medium", "diamond", "Behind")
FAILING = Badge("high", "triangle", "Not read")
NEVER = Badge("unknown", "ring", "Not read yet")
GONE = Badge("unknown", "ring", "No longer read")


@dataclass(frozen=True, slots=True)
class Figures:
    """What cards are made from, beside their rows.

    Attributes:
        hours: work by hour as `PageStore.database_hours` gives it.
        metric: `CPU` or `ELAPSED`, the one to show.
        now: aware UTC.
        interval: of the collection.
        last_try: when anything of an instance was last tried, by its name.
    """

    hours: Mapping[DatabaseRef, Floats]
    metric: int
    now: datetime
    interval: timedelta
    last_try: Mapping[str, datetime]


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
    read_at: datetime | None
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
    def is_unread(self) -> bool:
        """True where it should be read and is not."""
        return self.health in (BEHIND, FAILING)


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


def database_card(row: FleetRow, incidents: Sequence[Incident], figures: Figures) -> DatabaseCard:
    """One database with its open incidents."""
    health = _health(row, figures)
    work = figures.hours.get(row.ref)
    load, spark = _load([] if work is None else [work], figures.metric, row.ref.database)
    return DatabaseCard(
        row.ref,
        health,
        ago_words(min(row.read_at, figures.now), figures.now) if row.read_at else "never",
        row.read_at,
        one_line(row.message, _MOST_WORDS) if health in (BEHIND, FAILING) else "",
        _source(row),
        _by_severity(incidents),
        _cost(incidents),
        load,
        spark,
    )


def instance_group(
    name: str,
    engine: str,
    cards: Sequence[DatabaseCard],
    own: Sequence[Incident],
    figures: Figures,
    *,
    is_open: bool,
    is_retired: bool,
) -> InstanceGroup:
    """One instance; `own` are open incidents of all of it."""
    works = [figures.hours[card.ref] for card in cards if card.ref in figures.hours]
    load, spark = _load(works, figures.metric, name)
    counts: dict[Badge, int] = {}
    for badge, count in [*_by_severity(own), *(pair for card in cards for pair in card.incidents)]:
        counts[badge] = counts.get(badge, 0) + count
    worst_first = [severity_badge(severity) for severity in SEVERITIES]
    return InstanceGroup(
        name,
        ENGINES.get(engine, engine),
        tuple(own),
        tuple(sorted(cards, key=_trouble)),
        tuple((badge, counts[badge]) for badge in worst_first if badge in counts),
        sum(card.is_unread for card in cards),
        load,
        spark,
        is_open,
        is_retired,
    )


def fits(card: DatabaseCard, words: str) -> bool:
    """True where the card has all of these words, in any case of letters."""
    return all(word in card.words for word in words.lower().split())


def worst(incidents: Sequence[tuple[Badge, int]]) -> tuple[int, int]:
    """Place of the worst severity, and how many of it; smaller is worse."""
    if not incidents:
        return (len(SEVERITIES), 0)
    badge, count = incidents[0]
    return ([severity_badge(severity) for severity in SEVERITIES].index(badge), -count)


def _health(row: FleetRow, figures: Figures) -> Badge:
    if row.tried_at is None and row.read_at is None:
        return NEVER
    seen = row.tried_at or row.read_at
    last_try = figures.last_try.get(row.ref.instance)
    if seen is not None and last_try is not None and last_try - seen > GONE_AFTER:
        return GONE
    if row.status is CollectionStatus.FAILED:
        return FAILING
    is_behind = row.read_at is None or figures.now - row.read_at > figures.interval * STALE_AFTER
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
    counts = Counter(incident.severity for incident in incidents)
    return tuple((severity_badge(severity), counts[severity]) for severity in SEVERITIES if severity in counts)


def _cost(incidents: Sequence[Incident]) -> float:
    return sum(i.extra_seconds_per_hour for i in incidents if math.isfinite(i.extra_seconds_per_hour))


def _load(works: Sequence[Floats], metric: int, name: str) -> tuple[float, Markup]:
    """Seconds in the last hour that is known, and the line of a day."""
    if not works:
        return math.nan, Markup("")
    if len(works) == 1:
        return _drawn(name, works[0][:, metric].tobytes())
    stacked = np.stack([work[:, metric] for work in works])
    known = np.isfinite(stacked).any(axis=0)
    return _drawn(name, np.where(known, np.nansum(stacked, axis=0), np.nan).tobytes())


@lru_cache(maxsize=10_000)
def _drawn(name: str, microseconds: bytes) -> tuple[float, Markup]:
    """The last figure and the line; whole hours stay what they are, so a fleet is drawn once an hour."""
    seconds = (np.frombuffer(microseconds) / 1e6).tolist()
    known = [value for value in seconds if math.isfinite(value)]
    if not known:
        return math.nan, Markup("")
    highest = seconds_words(max(known))
    words = (
        f"{one_line(name, 80)}: {seconds_words(known[-1])} in the last hour, at most {highest} in one of the last 24"
    )
    return known[-1], sparkline(seconds, words)


def _trouble(card: DatabaseCard) -> tuple[object, ...]:
    return (*worst(card.incidents), not card.is_unread, -card.extra_seconds, card.ref.database)
