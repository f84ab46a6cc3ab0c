"""Every page by its path."""

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dbplanmon_pipeline.web.pages.decisions import decide, decide_json, mute
from dbplanmon_pipeline.web.pages.fleet import fleet
from dbplanmon_pipeline.web.pages.incident import incident, incident_json
from dbplanmon_pipeline.web.pages.incidents import incidents, incidents_json


def page_routes() -> list[BaseRoute]:
    """Pages and what they need: styles, scripts."""
    static = StaticFiles(packages=[("dbplanmon_pipeline.web", "static")])
    return [
        Route("/", fleet, name="fleet"),
        Route("/incidents", incidents, name="incidents"),
        Route("/incidents/{incident_id}", incident, name="incident"),
        Route("/incidents/{incident_id}/{event}", decide, methods=["POST"], name="decide"),
        Route("/mutes", mute, methods=["POST"], name="mute"),
        Route("/api/incidents", incidents_json, name="incidents_json"),
        Route("/api/incidents/{incident_id}", incident_json, name="incident_json"),
        Route("/api/incidents/{incident_id}/{event}", decide_json, methods=["POST"], name="decide_json"),
        Mount("/static", static, name="static"),
    ]
