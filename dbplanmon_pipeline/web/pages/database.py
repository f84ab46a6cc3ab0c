"""`/databases/{instance}/{database}`: one database: how it is read, what it works on, what changed in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.causes.context_facts import (
    ADVICE_FACT,
    OF_STATEMENTS,
    ROLE_SETTINGS_FACT,
    SETTING_FACT,
    STATISTICS_FACT,
    cause_words,
)
from dbplanmon_pipeline.core.causes.table_facts import TABLE_FACTS
from dbplanmon_pipeline.core.health import Finding
from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS, hotspots
from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef, StatementText
from dbplanmon_pipeline.core.plain_words import counted, seconds_words
from dbplanmon_pipeline.core.ports import FactChange, Hotspot
from dbplanmon_pipeline.core.ports.page_lists import ListFilter, PlanChangePage, ReadingRow
from dbplanmon_pipeline.core.ports.pages import IncidentFilter
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.readings.query_store_health import (
    FORCED_PLAN_FACT,
    SIZE_FACT,
    STATE_FACT,
    query_store_health,
)
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.charts.history import HistoryChart, Point, history_chart
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.pages.hotspots import RANKINGS, HotspotLine, Ranking, chosen_ranking, lines
from dbplanmon_pipeline.web.pages.spans import DAY, HOUR, Option, Span, chosen_span
from dbplanmon_pipeline.web.pages.templating import link, render, with_query
from dbplanmon_pipeline.web.pages.words import METRICS, short_moment

WINDOWS = (Span("24h", "24 hours", DAY), Span("7d", "7 days", 7 * DAY), Span("1h", "1 hour", HOUR))
TOP, MOST_INCIDENTS, MOST_CHANGES, MOST_FACT_CHANGES = 15, 10, 10, 30
FACTS_CHANGED_FOR = timedelta(days=90)
_CPU, _ELAPSED = 2, 1


@dataclass(frozen=True, slots=True)
class Load:
    """Work of the database by hour as a chart and as a table; `chart` is empty without figures."""

    chart: Markup
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[int, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class ForcedPlan:
    """A plan the server is told to use; hashes as digits, `state` in the server's words."""

    query_hash: str
    plan_hash: str
    state: str


@dataclass(frozen=True, slots=True)
class FactGroup:
    """Facts of one kind, name and value."""

    title: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What the page shows; `fact_changes` by moment, the newest first."""

    ref: DatabaseRef
    reading: ReadingRow | None
    read_at: datetime | None
    source: str
    query_store: Finding | None
    facts: Mapping[str, str]
    window: Span
    by: str
    hotspots: list[HotspotLine]
    incidents: list[Incident]
    incidents_total: int
    changes: PlanChangePage
    forced: list[ForcedPlan]
    groups: list[FactGroup]
    fact_changes: list[tuple[datetime, str]]

    @property
    def ranking(self) -> Ranking:
        """The way to rank that holds."""
        return RANKINGS[self.by]


@require(Role.VIEWER)
def database(request: Request) -> Response:
    """The page."""
    context, found = context_of(request), database_facts(request)
    return render(
        request,
        "database.html",
        ref=found.ref,
        reading=found.reading,
        read_at=found.read_at,
        source=found.source,
        query_store=found.query_store,
        query_store_words=", ".join(filter(None, (found.facts.get(STATE_FACT), found.facts.get(SIZE_FACT)))),
        window=found.window,
        windows=_options(request, "window", [(one.key, one.words) for one in WINDOWS], found.window.key),
        rankings=_options(request, "by", [(key, one.title) for key, one in RANKINGS.items()], found.by),
        ranking=found.ranking,
        hotspots=found.hotspots,
        load=_load(context, found.ref, max(found.window.length, DAY), context.clock()),
        incidents=found.incidents,
        incidents_total=found.incidents_total,
        changes=found.changes,
        forced=found.forced,
        groups=found.groups,
        fact_changes=found.fact_changes,
    )


def database_facts(request: Request) -> DatabaseFacts:
    """What the store knows of the database a path names, in the window that is asked for.

    Raises:
        HTTPException: 404, it was never read; 400, a choice is none.
    """
    context = context_of(request)
    store, now = context.session.store, context.clock()
    ref = DatabaseRef(request.path_params["instance"], request.path_params["database"])
    if ref not in store.known_databases():
        raise HTTPException(404, f"{ref} was never read; `dbplanmon check {ref}` says whether it can be")
    window = chosen_span(WINDOWS, request.query_params.get("window", ""))
    facts = store.facts(ref)
    changes = store.fact_changes(ref, now - FACTS_CHANGED_FOR, now)
    found = _dearest(context, ref, window, now)
    ranking = chosen_ranking(request.query_params.get("by", ""), [one.rank_by for one in found])
    top = [one for one in found if one.rank_by == RANKINGS[ranking].column]
    incidents = store.incident_page(IncidentFilter(instance=ref.instance, database=ref.database), limit=MOST_INCIDENTS)
    return DatabaseFacts(
        ref=ref,
        reading=next(iter(store.newest_readings(ref)), None),
        read_at=next((s.last_success_at for s in store.database_states() if s.ref == ref), None),
        source=_source(facts),
        query_store=_query_store(ref, facts, changes, now),
        facts=facts,
        window=window,
        by=ranking,
        hotspots=_lines(context, top),
        incidents=_open_first(incidents.incidents),
        incidents_total=incidents.total,
        changes=store.plan_change_page(ListFilter(ref.instance, ref.database), limit=MOST_CHANGES),
        forced=forced_plans(facts),
        groups=fact_groups(facts),
        fact_changes=[(one.seen_at, cause_words(one)) for one in _told(changes)],
    )


def forced_plans(facts: Mapping[str, str]) -> list[ForcedPlan]:
    """From the facts that name them."""
    found = []
    for name, value in facts.items():
        if name.startswith(FORCED_PLAN_FACT):
            query_hash, _, plan_hash = name.removeprefix(FORCED_PLAN_FACT).partition(" ")
            found.append(ForcedPlan(query_hash, plan_hash, value))
    return found


def fact_groups(facts: Mapping[str, str]) -> list[FactGroup]:
    """Everything told of the database itself, settings apart; what concerns one statement or table is left out."""
    left_out = (*OF_STATEMENTS, ADVICE_FACT, *TABLE_FACTS, ROLE_SETTINGS_FACT)
    of_database = {name: value for name, value in facts.items() if not name.startswith(left_out)}
    kinds = (("Settings", SETTING_FACT), ("Statistics of tables", STATISTICS_FACT))
    groups = [
        ("The database", {n: v for n, v in of_database.items() if not n.startswith((SETTING_FACT, STATISTICS_FACT))})
    ]
    groups += [(title, {n.removeprefix(p): v for n, v in of_database.items() if n.startswith(p)}) for title, p in kinds]
    return [FactGroup(title, tuple(sorted(values.items()))) for title, values in groups if values]


def _dearest(context: WebContext, ref: DatabaseRef, window: Span, now: datetime) -> list[Hotspot]:
    store = context.session.store
    if window.length > HOUR:
        rows = store.hourly_work(ref, now - window.length, now).assign(database_id=1)
        return hotspots(IntervalFrame(rows, {1: ref}), top_n=TOP)
    return hotspots(store.work_by_statement(now - window.length, now, HOTSPOT_COLUMNS, databases=[ref]), top_n=TOP)


def _lines(context: WebContext, top: Sequence[Hotspot]) -> list[HotspotLine]:
    texts: Mapping[tuple[DatabaseRef, int], StatementText] = context.session.store.statement_texts(
        [(one.ref, one.query_hash) for one in top]
    )
    return lines(top, texts)


def _query_store(
    ref: DatabaseRef, facts: Mapping[str, str], changes: Sequence[FactChange], now: datetime
) -> Finding | None:
    if STATE_FACT not in facts:
        return None
    return query_store_health({ref: facts}, [change for change in changes if now - change.seen_at <= DAY])


def _source(facts: Mapping[str, str]) -> str:
    state = facts.get(STATE_FACT, "")
    if state.startswith("READ_WRITE"):
        return "Query Store"
    return f"plan cache (Query Store is {state})" if state else ""


def _told(changes: Sequence[FactChange]) -> list[FactChange]:
    """The newest first."""
    return list(reversed(changes))[:MOST_FACT_CHANGES]


def _open_first(incidents: Sequence[Incident]) -> list[Incident]:
    return sorted(incidents, key=lambda one: not one.state.is_open)


def _load(context: WebContext, ref: DatabaseRef, length: timedelta, now: datetime) -> Load:
    """Seconds of work by hour; the running hour would look like a fall."""
    end = now.replace(minute=0, second=0, microsecond=0)
    start = end - length
    work = context.session.store.hours_of(ref, start, end)
    column = _CPU if np.isfinite(work[:, _CPU]).any() else _ELAPSED
    words = METRICS["worker_time_us" if column == _CPU else "elapsed_time_us"]
    points = [
        Point(start + place * HOUR, start + (place + 1) * HOUR, value / 1e6)
        for place, value in enumerate(work[:, column].tolist())
        if value == value  # noqa: PLR0124 - NaN
    ]
    if not points:
        return Load(Markup(""))
    highest = max(point.value for point in points)
    chart = HistoryChart(
        title=f"{words} of all statements of {ref} by hour",
        description=f"{counted(len(points), 'hour')}, at most {seconds_words(highest)} of work in one.",
        unit=f"{words} of all statements per hour",
        words=seconds_words,
        start=start,
        end=end,
        points=points,
        longest_gap=2 * HOUR,
    )
    executions = work[:, 0].tolist()
    rows = tuple(
        (
            int(point.middle.timestamp()),
            (
                f"{short_moment(point.start)} to {point.end:%H:%M}",
                seconds_words(point.value),
                f"{executions[round((point.start - start) / HOUR)]:,.0f}",
            ),
        )
        for point in points
    )
    return Load(history_chart(chart, "load"), ("Hour (UTC)", words, "Executions"), rows)


def _options(request: Request, name: str, choices: list[tuple[str, str]], chosen: str) -> list[Option]:
    path = link(request, "database", **request.path_params)
    kept = {key: request.query_params.get(key, "") for key in ("window", "by")}
    return [Option(words, with_query(path, **kept | {name: value}), value == chosen) for value, words in choices]
