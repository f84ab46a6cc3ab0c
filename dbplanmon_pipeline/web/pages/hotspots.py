"""`/hotspots`: the dearest statements of the fleet, as ranked after each analysis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.composition.detectors import workload_policy
from dbplanmon_pipeline.core.model import DatabaseRef, StatementText
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Hotspot
from dbplanmon_pipeline.core.ports.page_lists import HotspotRanking, ListFilter
from dbplanmon_pipeline.core.workload.changes import BusierInstance, WorkloadChange
from dbplanmon_pipeline.services.compare_workload import NO_WORKLOAD, Workload, compare_workload, totals_of
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.charts.bars import bar
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.pages.list_query import ListQuery, list_query, one_of
from dbplanmon_pipeline.web.pages.templating import render

STATEMENT_WORDS = 220
MOMENTS: Mapping[str, tuple[str, timedelta]] = {
    "now": ("Newest", timedelta(0)),
    "1h": ("1 hour ago", timedelta(hours=1)),
    "6h": ("6 hours ago", timedelta(hours=6)),
    "24h": ("Yesterday, same time", timedelta(hours=24)),
    "7d": ("A week ago, same time", timedelta(days=7)),
}


@dataclass(frozen=True, slots=True)
class Ranking:
    """A way to rank: its title, its column of hotspots, and its name within a sentence."""

    title: str
    column: str
    words: str


RANKINGS: Mapping[str, Ranking] = {
    "cpu": Ranking("CPU time", "worker_time_us", "CPU time"),
    "elapsed": Ranking("Elapsed time", "elapsed_time_us", "elapsed time"),
    "reads": Ranking("Logical reads", "logical_reads_pages", "logical reads"),
    "combined": Ranking("All together", "combined", "time, CPU and reads together"),
}


@dataclass(frozen=True, slots=True)
class HotspotLine:
    """One statement; means per execution, NaN unknown, its share of the whole as a bar, and why it costs more."""

    hotspot: Hotspot
    statement: str
    elapsed_us: float
    cpu_us: float
    reads_pages: float
    bar: Markup
    growth: WorkloadChange | None = None


def chosen_ranking(text: str, known: Sequence[str]) -> str:
    """Key of the ranking that is asked for; else by CPU where the engine tells it, else by elapsed time.

    Raises:
        HTTPException: 400, there is no such ranking.
    """
    default = "cpu" if RANKINGS["cpu"].column in known or not known else "elapsed"
    return one_of("ranking", text, list(RANKINGS)) or default


def lines(
    top: Sequence[Hotspot],
    texts: Mapping[tuple[DatabaseRef, int], StatementText],
    workload: Workload = NO_WORKLOAD,
) -> list[HotspotLine]:
    """Hotspots as a table shows them."""
    largest = max((one.share for one in top if math.isfinite(one.share)), default=0.0)
    found = []
    for one in top:
        text = texts.get((one.ref, one.query_hash))
        words = one_line(text.text[: 4 * STATEMENT_WORDS], STATEMENT_WORDS) if text else ""
        count = one.execution_count if one.execution_count > 0 else math.nan
        means = (one.elapsed_time_us / count, one.worker_time_us / count, one.logical_reads_pages / count)
        found.append(HotspotLine(one, words, *means, bar(one.share, largest), workload.of(one.ref, one.query_hash)))
    return found


@dataclass(frozen=True, slots=True)
class HotspotList:
    """What is asked for, the way to rank that holds, and the ranking; None where there is none.

    `busier`: instances that did more than usual in its window.
    """

    query: ListQuery
    by: Ranking
    ranking: HotspotRanking | None
    lines: list[HotspotLine]
    busier: Sequence[BusierInstance] = ()


@require(Role.VIEWER)
def hotspots(request: Request) -> Response:
    """The newest ranking, or that of an earlier moment."""
    found = hotspot_list(request)
    return render(
        request,
        "hotspots.html",
        ranking=found.ranking,
        by=found.by,
        lines=found.lines,
        busier=found.busier,
        chosen={**found.query.chosen, "by": next(key for key, one in RANKINGS.items() if one is found.by)},
        is_narrowed=found.query.is_narrowed,
        instances=sorted({ref.instance for ref in context_of(request).session.store.known_databases()}),
        rankings=tuple((key, one.title) for key, one in RANKINGS.items()),
        moments=tuple((key, words) for key, (words, _) in MOMENTS.items()),
    )


def hotspot_list(request: Request) -> HotspotList:
    """The newest ranking, or that of an earlier moment, as the query asks for it."""
    context = context_of(request)
    store = context.session.store
    query = list_query(request.query_params, by="", at="now", q="", instance="", database="")
    at = one_of("moment", query.chosen["at"], list(MOMENTS))
    chosen = ListFilter(query.chosen["instance"], query.chosen["database"], query.chosen["q"])
    by = one_of("ranking", query.chosen["by"], list(RANKINGS))
    moment = context.clock() - MOMENTS[at][1]
    ranking = store.hotspot_ranking(moment, RANKINGS[by or "cpu"].column, chosen)
    if not by and ranking is not None and not ranking.rows:
        # Not every engine tells CPU.
        by = "elapsed"
        ranking = store.hotspot_ranking(moment, RANKINGS[by].column, chosen)
    top = ranking.rows if ranking else ()
    texts = store.statement_texts([(one.ref, one.query_hash) for one in top])
    workload = _workload(context, ranking) if ranking else NO_WORKLOAD
    busier = [one for one in workload.instances if chosen.instance in ("", one.instance)]
    return HotspotList(query, RANKINGS[by or "cpu"], ranking, lines(top, texts, workload), busier)


def _workload(context: WebContext, ranking: HotspotRanking) -> Workload:
    """What of the ranked statements, and of those that take most time, is more than usual."""
    store, by = context.session.store, RANKINGS["elapsed"].column
    dearest = store.hotspot_ranking(ranking.window_end, by, ListFilter())
    ranked = [*ranking.rows, *(dearest.rows if dearest else ())]
    policy = workload_policy(context.settings)
    return compare_workload(store, totals_of(ranked), ranking.window_start, ranking.window_end, policy)
