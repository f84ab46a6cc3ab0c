"""`/collector`: how the monitor itself does: its checks, what reading costs, what fails and what helps, its store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.composition.spooling import keeps_readings, open_spool
from dbplanmon_pipeline.core.breaker import is_open
from dbplanmon_pipeline.core.health import Health
from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.core.plain_words import counted, one_line
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.core.ports.figures import StoreFigures
from dbplanmon_pipeline.core.ports.page_lists import ReadingRow, TableSize
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.health.board import Judged, worst
from dbplanmon_pipeline.web.pages.templating import render
from dbplanmon_pipeline.web.pages.words import Badge
from dbplanmon_pipeline.web.probes import probes_of

MOST_READINGS = 50
"""So many databases are listed unless all are asked for; those with trouble are listed always."""

MOST_TABLES, MOST_ROWS = 14, 8

HEALTH = {
    Health.HEALTHY: Badge("good", "tick", "Healthy"),
    Health.DEGRADED: Badge("medium", "diamond", "Look at it"),
    Health.UNHEALTHY: Badge("critical", "octagon", "Broken"),
}
REMEDIES: Mapping[str, str] = {
    "unreachable": "check host, port, firewall and whether the server runs; dbplanmon check tries it at once",
    "login": "check user and password or ticket; dbplanmon grants prints what the login needs",
    "permission": "run what dbplanmon grants prints; dbplanmon check names the missing right",
    "timeout": "the server was too slow for collection.budget_per_database; see its load, or raise the budget",
    "feature": "the server lacks what is needed; dbplanmon check names it and the line that turns it on",
    "breaker": "its instance is left alone after failures in a row; naming it in a run reads it all the same",
}
"""What helps against a class of failures."""

_TITLES = {
    "storage": "Store",
    "targets": "Databases are read",
    "daemon": "Daemon",
    "deliveries": "Messages arrive",
    "breakers": "Nothing is left alone",
    "disk": "Room on disk",
    "coverage": "Named statements cover the load",
    "collector_cost": "Reading is cheap",
    "baselines": "Baselines are recent",
    "query_store": "Query Store is healthy",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A class of failures: what helps, and the databases it concerns."""

    error_class: str
    remedy: str
    readings: tuple[ReadingRow, ...]


@dataclass(frozen=True, slots=True)
class JobRow:
    """Memory of a job or a breaker."""

    state: JobState
    rests: bool

    @property
    def kind(self) -> str:
        """`instance`, `channel` or `job`."""
        return {"breaker": "instance", "channel": "channel"}.get(self.state.name.partition(":")[0], "job")

    @property
    def name(self) -> str:
        """Without its kind."""
        return self.state.name.partition(":")[2] if self.kind != "job" else self.state.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class CollectorFacts:
    """What the page shows.

    Attributes:
        readings: the newest of each database, those that failed first, then by cost.
        breakers: instances and channels that fail.
        spool: what waits on disk in words; empty where nothing does.
    """

    state: Health
    lines: Sequence[Judged]
    failures: list[Failure]
    readings: list[ReadingRow]
    breakers: list[JobRow]
    jobs: list[JobRow]
    figures: StoreFigures
    store_url: str
    tables: list[TableSize]
    spool: str


@require(Role.VIEWER)
async def collector(request: Request) -> Response:
    """The page; checks answer within their own time, whatever hangs."""
    lines = await probes_of(request).board.judge()
    return await run_in_threadpool(_page, request, lines)


def _page(request: Request, lines: Sequence[Judged]) -> Response:
    found = collector_facts(request, lines)
    wants_all = request.query_params.get("databases", "") == "all"
    return render(
        request,
        "collector.html",
        headline=_headline(found.state, lines),
        tone=HEALTH[found.state].tone,
        checks=[(line, _TITLES.get(line.name, line.name), HEALTH[line.finding.health]) for line in lines],
        most_rows=MOST_ROWS,
        failures=found.failures,
        readings=found.readings if wants_all else found.readings[:MOST_READINGS],
        readings_total=len(found.readings),
        total_cost_ms=sum(one.cost_ms or 0.0 for one in found.readings),
        breakers=found.breakers,
        jobs=found.jobs,
        store_bytes=found.figures.store_bytes,
        archive_bytes=found.figures.archive_bytes,
        store_url=found.store_url,
        tables_of_store=found.tables,
        spool=found.spool,
    )


def collector_facts(request: Request, lines: Sequence[Judged]) -> CollectorFacts:
    """What the monitor knows of itself; `lines` are its checks."""
    context = context_of(request)
    store, now = context.session.store, context.clock()
    figures = store.store_figures(now)
    readings = sorted(store.newest_readings(), key=_by_cost)
    jobs = [JobRow(job, is_open(job, now, context.session.breaker)) for job in figures.jobs]
    return CollectorFacts(
        state=worst([line.finding.health for line in lines]),
        lines=lines,
        failures=failures(readings),
        readings=readings,
        breakers=[job for job in jobs if job.kind != "job" and job.state.consecutive_failures],
        jobs=[job for job in jobs if job.kind == "job"],
        figures=figures,
        store_url=store.url,
        tables=_tables(store.table_sizes()),
        spool=_spool(context, now),
    )


def failures(readings: Sequence[ReadingRow]) -> list[Failure]:
    """Failed readings by class, the most frequent first."""
    found: dict[str, list[ReadingRow]] = {}
    for one in readings:
        if one.status is CollectionStatus.FAILED or one.error_class:
            found.setdefault(one.error_class or "other", []).append(one)
    return sorted(
        (Failure(kind, REMEDIES.get(kind, "the message says what to do"), tuple(of)) for kind, of in found.items()),
        key=lambda one: (-len(one.readings), one.error_class),
    )


def _by_cost(one: ReadingRow) -> tuple[bool, float, float, object]:
    return (one.status is not CollectionStatus.FAILED, -(one.cost_ms or 0.0), -one.duration_ms, one.ref)


def _headline(state: Health, lines: Sequence[Judged]) -> str:
    if state is Health.HEALTHY:
        return "The monitor is well"
    bad = sum(line.finding.health is not Health.HEALTHY for line in lines)
    return f"{counted(bad, 'check')} of the monitor {'needs' if bad == 1 else 'need'} a look"


def _tables(sizes: Sequence[TableSize]) -> list[TableSize]:
    return [one for one in sizes if one.rows or one.bytes][:MOST_TABLES]


def _spool(context: WebContext, now: datetime) -> str:
    """What waits on disk while the store was away; empty where nothing does."""
    if not keeps_readings(context.settings):
        return ""
    waiting = open_spool(context.settings).waiting()
    if not waiting:
        return ""
    size = sum(batch.size_bytes for batch in waiting) / 1e6
    age = one_line(f"{(now - waiting[0].tick).total_seconds() / 60:,.0f} min")
    return f"{counted(len(waiting), 'reading')} of the fleet ({size:,.1f} MB, the oldest {age} old) wait on disk"
