"""`/alerts`: every message, what was decided about it and why, how sending it went, and how the channels are."""

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.composition.channels import enabled_channels
from dbplanmon_pipeline.core.breaker import is_open
from dbplanmon_pipeline.core.plain_words import duration_words
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.core.ports.figures import StoreFigures
from dbplanmon_pipeline.core.ports.page_lists import AlertPage
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.pages.list_query import PERIOD_CHOICES, ListQuery, list_query, one_of
from dbplanmon_pipeline.web.pages.mutes import UNMUTED
from dbplanmon_pipeline.web.pages.templating import render
from dbplanmon_pipeline.web.pages.words import Badge

PAGE = 50
_PREFIX = "channel:"

BADGES = {
    AlertState.PENDING: Badge("held", "ring", "Waits"),
    AlertState.HELD: Badge("held", "ring", "Held back"),
    AlertState.MUTED: Badge("unknown", "cross", "Muted"),
    AlertState.SUPPRESSED: Badge("unknown", "cross", "Not needed"),
    AlertState.GROUPED: Badge("unknown", "dot", "Told in a group"),
    AlertState.DELIVERED: Badge("good", "tick", "Delivered"),
    AlertState.GIVEN_UP: Badge("high", "triangle", "Given up"),
}
_GOOD = Badge("good", "tick", "Works")
_RESTS = Badge("high", "triangle", "Rests")
_FAILS = Badge("medium", "diamond", "Fails")
_UNUSED = Badge("unknown", "ring", "Nothing sent yet")


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """How one channel does; `detail` is the last failure in one line."""

    name: str
    kind: str
    badge: Badge
    waiting: int
    held: int
    given_up: int
    overdue: str
    last_success_at: datetime | None
    next_attempt_at: datetime | None
    detail: str
    is_configured: bool = True


@require(Role.VIEWER)
def alerts(request: Request) -> Response:
    """The page."""
    context = context_of(request)
    store, now = context.session.store, context.clock()
    query, page = alert_list(request, PAGE)
    channels = channel_rows(context, store.store_figures(now), now)
    return render(
        request,
        "alerts.html",
        rows=page.rows,
        attempts=page.attempts,
        badges=BADGES,
        channels=channels,
        mutes=store.mutes(at=now),
        windows=store.windows(),
        chosen=query.chosen,
        is_narrowed=query.is_narrowed,
        states=tuple((one.value, badge.word) for one, badge in BADGES.items()),
        names=tuple((one.name, one.name) for one in channels),
        periods=PERIOD_CHOICES,
        turn=query.pages(request, "alerts", page.following),
        told=UNMUTED if request.query_params.get("told", "") == "unmuted" else "",
    )


def alert_list(request: Request, limit: int) -> tuple[ListQuery, AlertPage]:
    """What is asked for, and the messages that fit, the newest first."""
    context = context_of(request)
    query = list_query(request.query_params, state="", channel="", period="7d")
    state = one_of("state", query.chosen["state"], [one.value for one in AlertState])
    since, channel = query.since(context.clock()), query.chosen["channel"]
    states = [state] if state else []
    return query, query.asked(
        lambda after: context.session.store.alert_page(
            states=states, channel=channel, since=since, after=after, limit=limit
        )
    )


def channel_rows(context: WebContext, figures: StoreFigures, now: datetime) -> list[ChannelRow]:
    """Channels of the settings, then those that messages still name."""
    jobs = {job.name.removeprefix(_PREFIX): job for job in figures.jobs if job.name.startswith(_PREFIX)}
    kinds = {channel.name: channel.type for channel in enabled_channels(context.settings)}
    known = [*kinds, *sorted({name for name, _ in figures.alerts} - kinds.keys())]
    found = []
    for name in known:
        job = jobs.get(name, JobState(_PREFIX + name))
        waits = figures.overdue_since.get(name)
        found.append(
            ChannelRow(
                name,
                kinds.get(name, "no longer in the settings"),
                _badge(context, job, now),
                figures.alerts.get((name, AlertState.PENDING.value), 0),
                figures.alerts.get((name, AlertState.HELD.value), 0),
                figures.alerts.get((name, AlertState.GIVEN_UP.value), 0),
                duration_words((now - waits).total_seconds()) if waits else "",
                job.last_success_at,
                job.next_attempt_at,
                job.detail,
                name in kinds,
            )
        )
    return found


def _badge(context: WebContext, job: JobState, now: datetime) -> Badge:
    if is_open(job, now, context.session.breaker):
        return _RESTS
    if job.consecutive_failures:
        return _FAILS
    return _GOOD if job.last_success_at else _UNUSED
