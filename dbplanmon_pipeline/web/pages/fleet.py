"""`/`: the whole fleet at a glance."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.pages.fleet_view import FleetView, fleet_view
from dbplanmon_pipeline.web.pages.templating import render

DAY = timedelta(hours=24)


@require(Role.VIEWER)
def fleet(request: Request) -> Response:
    """Health, load and open incidents of every database."""
    context = context_of(request)
    if not _watched(context) and not context.session.store.schema_status().revision:
        return render(request, "fleet_empty.html")
    view = fleet_of(request)
    if not view.groups:
        return render(request, "fleet_empty.html")
    return render(request, "fleet.html", view=view, words=request.query_params.get("q", "")[:200])


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
