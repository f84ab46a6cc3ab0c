"""`/`: the whole fleet at a glance."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.fleet_view import fleet_view
from dbplanmon_pipeline.web.pages.templating import render

DAY = timedelta(hours=24)


@require(Role.VIEWER)
def fleet(request: Request) -> Response:
    """Health, load and open incidents of every database."""
    context = context_of(request)
    store, settings, now = context.session.store, context.settings, context.clock()
    watched = {instance.name: str(instance.engine) for instance in settings.instances if instance.enabled}
    if not watched and not store.schema_status().revision:
        return render(request, "fleet_empty.html")
    rows = store.fleet()
    if not watched and not rows:
        return render(request, "fleet_empty.html")
    # The running hour would look like a fall.
    end = now.replace(minute=0, second=0, microsecond=0)
    view = fleet_view(
        rows,
        store.open_incidents(),
        store.database_hours(end - DAY, end),
        watched=watched,
        now=now,
        interval=settings.collection.interval,
    )
    return render(request, "fleet.html", view=view, words=request.query_params.get("q", "")[:200])
