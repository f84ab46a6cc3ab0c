"""`/statements/{instance}/{database}/{query_hash}`: one statement over time, its plans, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dbplanmon_pipeline.composition.detectors import workload_policy
from dbplanmon_pipeline.composition.fingerprints import stored_fingerprint
from dbplanmon_pipeline.core.model import DatabaseRef, StatementText, hash_int, hash_text
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.ports.alert_rules import MuteRule
from dbplanmon_pipeline.core.ports.page_lists import ListFilter, PlanChangePage, PlanUse, StatementSeen
from dbplanmon_pipeline.core.ports.pages import IncidentFilter, IncidentPage, Normal
from dbplanmon_pipeline.core.workload.changes import WorkloadChange
from dbplanmon_pipeline.services.compare_statement import statement_growth
from dbplanmon_pipeline.services.mute_alerts import SPANS, MuteScope, mute_alerts
from dbplanmon_pipeline.web.access.guard import form_of, require
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.mutes import UNMUTED, reason_of
from dbplanmon_pipeline.web.pages.spans import (
    DAY,
    HOUR,
    METRIC_CHOICES,
    Metric,
    Option,
    Span,
    chosen_metric,
    chosen_span,
)
from dbplanmon_pipeline.web.pages.statement_layout import lay_out
from dbplanmon_pipeline.web.pages.statement_series import Rows, columns_of, known_metrics, statement_series
from dbplanmon_pipeline.web.pages.templating import link, render, with_query

CHART_SPANS = (
    Span("24h", "24 hours", DAY),
    Span("3d", "3 days", 3 * DAY),
    Span("30d", "30 days, by hour", 30 * DAY, HOUR),
    Span("365d", "1 year, by day", 365 * DAY, DAY),
)
MOST_CHANGES, MOST_INCIDENTS = 20, 20
TOLD = {"muted": "Muted. Messages about this statement are kept and counted, but not sent.", "unmuted": UNMUTED}
SPAN_WORDS = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "never": "Until removed"}
_COLUMNS = ("execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages")


@dataclass(frozen=True, slots=True)
class StatementFacts:
    """What the page shows.

    Attributes:
        rows: of the span that is asked for, which ended at `end`.
        normal: what is normal per execution; None unknown.
        mutes: rules in force under which its messages fall.
        growth: why it costs more per hour than usual; None where it does not.
    """

    seen: StatementSeen
    text: StatementText | None
    span: Span
    end: datetime
    rows: Rows
    uses: Sequence[PlanUse]
    changes: PlanChangePage
    incidents: IncidentPage
    normal: Normal | None
    mutes: Sequence[MuteRule]
    growth: WorkloadChange | None


@require(Role.VIEWER)
def statement(request: Request) -> Response:
    """The page."""
    found = statement_facts(request)
    seen, span, text = found.seen, found.span, found.text
    metric, settings = _metric(request, known_metrics(found.rows)), context_of(request).settings
    series = statement_series(
        found.rows,
        span,
        metric,
        start=found.end - span.length,
        end=found.end,
        cadence=settings.collection.interval,
        uses=found.uses,
        changes=_oldest_first(found.changes.rows),
        incidents=found.incidents.incidents,
        normal=found.normal,
    )
    return render(
        request,
        "statement.html",
        ref=seen.ref,
        seen=seen,
        statement=lay_out(text.text) if text else None,
        fingerprint=stored_fingerprint(settings, seen.ref.instance, text.text) if text else "",
        kind=text.kind if text else "",
        series=series,
        span=span,
        metric=metric,
        spans=_options(request, "span", [(one.key, one.words) for one in CHART_SPANS], span.key),
        metrics=_options(request, "metric", [(one.key, _title(one)) for one in METRIC_CHOICES.values()], metric.key),
        changes=found.changes,
        incidents=found.incidents,
        mutes=found.mutes,
        growth=found.growth,
        mute_spans=[(one, SPAN_WORDS.get(one, one)) for one in SPANS],
        told=TOLD.get(request.query_params.get("told", ""), ""),
    )


def statement_facts(request: Request) -> StatementFacts:
    """What the store knows of the statement a path names, in the span that is asked for.

    Raises:
        HTTPException: 404, it was never seen; 400, there is no such span.
    """
    context, key = context_of(request), statement_key(request)
    ref, query_hash = key
    store, now = context.session.store, context.clock()
    seen = store.statement_seen(ref, query_hash)
    if seen is None:
        raise HTTPException(404, f"statement {hash_text(query_hash)} was never seen on {ref}")
    span = chosen_span(CHART_SPANS, request.query_params.get("span", ""))
    start = now - span.length
    rows = columns_of(
        store.hourly_work(ref, start, now, query_hash, by_day=span.width >= DAY)
        if span.width
        else store.interval_frame(start, now, columns=_COLUMNS, databases=[ref], query_hash=query_hash).rows
    )
    text = store.statement_texts([key]).get(key)
    chosen = IncidentFilter(instance=ref.instance, database=ref.database, query_hash=query_hash)
    return StatementFacts(
        seen=seen,
        text=text,
        span=span,
        end=now,
        rows=rows,
        uses=store.plan_uses(ref, query_hash),
        changes=store.plan_change_page(
            ListFilter(ref.instance, ref.database, query_hash=query_hash), limit=MOST_CHANGES
        ),
        incidents=store.incident_page(chosen, limit=MOST_INCIDENTS),
        normal=store.normal(ref, query_hash, context.session.detector.layout, now),
        mutes=[mute for mute in store.mutes(at=now) if _is_muted(mute, ref, query_hash, text)],
        growth=statement_growth(
            store,
            ref,
            query_hash,
            window=context.settings.hotspots.window,
            policy=workload_policy(context.settings),
        ),
    )


@require(Role.OPERATOR)
def mute_statement(request: Request) -> Response:
    """Mute messages about one statement."""
    context, (ref, query_hash) = context_of(request), statement_key(request)
    form = form_of(request)
    reason = reason_of(str(form.get("reason", "")))
    if context.session.store.statement_seen(ref, query_hash) is None:
        raise HTTPException(404, f"statement {hash_text(query_hash)} was never seen on {ref}")
    mute_alerts(
        context.session.store,
        MuteScope(ref.instance, ref.database, query_hash),
        span=str(form.get("span", "")),
        actor=user_of(request).name,
        at=context.clock(),
        reason=reason,
    )
    path = link(request, "statement", instance=ref.instance, database=ref.database, query_hash=hash_text(query_hash))
    return RedirectResponse(with_query(path, told="muted"), 303)


def statement_key(request: Request) -> tuple[DatabaseRef, int]:
    """Which statement a path names.

    Raises:
        HTTPException: 404, it names none.
    """
    names = request.path_params
    try:
        value = hash_int(names["query_hash"])
    except ValueError:
        raise HTTPException(404, "a statement is named by 16 hex digits") from None
    return DatabaseRef(names["instance"], names["database"]), value


def _metric(request: Request, known: list[str]) -> Metric:
    """CPU where the engine tells it, else elapsed time."""
    default = "cpu" if "worker_time_us" in known else "elapsed"
    return chosen_metric(request.query_params.get("metric", ""), default)


def _title(metric: Metric) -> str:
    return metric.title[:1].upper() + metric.title[1:]


def _options(request: Request, name: str, choices: list[tuple[str, str]], chosen: str) -> list[Option]:
    """Links to this page with another choice of one thing."""
    names = request.path_params
    path = link(request, "statement", **names)
    kept = {key: request.query_params.get(key, "") for key in ("span", "metric")}
    return [Option(words, with_query(path, **kept | {name: value}), value == chosen) for value, words in choices]


def _oldest_first(rows: Any) -> list[PlanChange]:
    return [row.change for row in reversed(rows)]


def _is_muted(mute: MuteRule, ref: DatabaseRef, query_hash: int, text: StatementText | None) -> bool:
    words = text.text if text else ""
    return (
        mute.instance in ("", ref.instance)
        and mute.database in ("", ref.database)
        and mute.query_hash in (0, query_hash)
        and mute.text.casefold() in words.casefold()
    )
