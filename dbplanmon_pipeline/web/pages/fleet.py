"""`/`: the whole fleet at a glance."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.pages.fleet_rows import chosen_rows, first_rows
from dbplanmon_pipeline.web.pages.fleet_view import FleetView, fleet_view
from dbplanmon_pipeline.web.pages.templating import link, render, with_query

DAY = timedelta(hours=24)
_DIGITS = 7


@require(Role.VIEWER)
def fleet(request: Request) -> Response:
    """Health, load and open incidents of every database."""
    context = context_of(request)
    if not _watched(context) and not context.session.store.schema_status().revision:
        return render(request, "fleet_empty.html")
    view = fleet_of(request)
    if not view.groups:
        return render(request, "fleet_empty.html")
    query = request.query_params
    words, instance = query.get("q", "").strip()[:200], query.get("instance", "").strip()[:200]
    place = query.get("skip", "")
    skip = int(place) if place.isascii() and place.isdecimal() and len(place) < _DIGITS else 0
    is_narrowed = bool(words or instance)
    rows = chosen_rows(view, words=words, instance=instance, skip=skip) if is_narrowed else first_rows(view)
    path = link(request, "fleet")
    return render(
        request,
        "fleet.html",
        view=view,
        rows=rows,
        words=words,
        instance=instance,
        is_narrowed=is_narrowed,
        first=with_query(path, q=words, instance=instance) if skip else "",
        following=with_query(path, q=words, instance=instance, skip=rows.following) if rows.following else "",
    )


def fleet_of(request: Request) -> FleetView:
    """The whole fleet as the store knows it now."""
    context = context_of(request)
    store, settings, now = context.session.store, context.settings, context.clock()
    # The running hour would look like a fall.
    end = now.replace(minute=0, second=0, microsecond=0)
    return fleet_view(
        store.fleet(),
        store.open_incidents(),
        store.database_hours(end - DAY, end),
        watched=_watched(context),
        now=now,
        interval=settings.collection.interval,
    )


def _watched(context: WebContext) -> dict[str, str]:
    """Instances of the settings with their engines."""
    return {instance.name: str(instance.engine) for instance in context.settings.instances if instance.enabled}
