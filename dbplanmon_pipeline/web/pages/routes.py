"""Every page by its path."""

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dbplanmon_pipeline.web.pages.fleet import fleet


def page_routes() -> list[BaseRoute]:
    """Pages and what they need: styles, scripts."""
    static = StaticFiles(packages=[("dbplanmon_pipeline.web", "static")])
    return [
        Route("/", fleet, name="fleet"),
        Mount("/static", static, name="static"),
    ]
