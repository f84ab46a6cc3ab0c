"""The web application: routes of all parts behind one protection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.web.access.answers import HANDLERS
from dbplanmon_pipeline.web.access.middleware import protection
from dbplanmon_pipeline.web.access.routes import access_routes
from dbplanmon_pipeline.web.api.routes import api_routes
from dbplanmon_pipeline.web.context import WebContext
from dbplanmon_pipeline.web.health.routes import health_routes
from dbplanmon_pipeline.web.metrics.routes import metrics_routes
from dbplanmon_pipeline.web.pages.errors import error_pages
from dbplanmon_pipeline.web.pages.routes import page_routes
from dbplanmon_pipeline.web.probes import Probes


def build_app(monitor: Monitor) -> Starlette:
    """Everything `dbplanmon serve` answers; works without any instance in the settings.

    The store need not be there yet: pages say so, and the health tells it.
    """
    session = monitor.open_session()
    context = WebContext(monitor.settings, session, monitor.clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.probes.begin()
        try:
            yield
        finally:
            app.state.probes.end()
            session.close()

    routes = [*health_routes(), *metrics_routes(), *access_routes(), *api_routes(), *page_routes()]
    app = Starlette(
        routes=routes,
        middleware=protection(context),
        exception_handlers={**HANDLERS, **error_pages()},
        lifespan=lifespan,
    )
    app.state.context = context
    app.state.probes = Probes(context)
    return app
