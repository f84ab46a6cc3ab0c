"""Every page by its path."""

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dbplanmon_pipeline.web.pages.alerts import alerts
from dbplanmon_pipeline.web.pages.audit import audit
from dbplanmon_pipeline.web.pages.collector import collector
from dbplanmon_pipeline.web.pages.database import database
from dbplanmon_pipeline.web.pages.decisions import decide, mute
from dbplanmon_pipeline.web.pages.finding import finding
from dbplanmon_pipeline.web.pages.fleet import fleet
from dbplanmon_pipeline.web.pages.hotspots import hotspots
from dbplanmon_pipeline.web.pages.incident import incident
from dbplanmon_pipeline.web.pages.incidents import incidents
from dbplanmon_pipeline.web.pages.kpis import kpi, kpis
from dbplanmon_pipeline.web.pages.mutes import unmute
from dbplanmon_pipeline.web.pages.plan import plan
from dbplanmon_pipeline.web.pages.plan_changes import plan_changes
from dbplanmon_pipeline.web.pages.settings import settings
from dbplanmon_pipeline.web.pages.statement import mute_statement, statement

_STATEMENT = "/statements/{instance}/{database:path}/{query_hash}"
"""The name of a database may hold a slash."""


def page_routes() -> list[BaseRoute]:
    """Pages and what they need: styles, scripts."""
    static = StaticFiles(packages=[("dbplanmon_pipeline.web", "static")])
    return [
        Route("/", fleet, name="fleet"),
        Route("/incidents", incidents, name="incidents"),
        Route("/incidents/{incident_id}", incident, name="incident"),
        Route("/incidents/{incident_id}/{event}", decide, methods=["POST"], name="decide"),
        Route("/mutes", mute, methods=["POST"], name="mute"),
        Route("/mutes/{mute_id}/remove", unmute, methods=["POST"], name="unmute"),
        Route(_STATEMENT, statement, name="statement"),
        Route(f"{_STATEMENT}/mute", mute_statement, methods=["POST"], name="mute_statement"),
        Route("/databases/{instance}/{database:path}", database, name="database"),
        Route("/plans/{plan_hash}", plan, name="plan"),
        Route("/findings/{rule}", finding, name="finding"),
        Route("/plan-changes", plan_changes, name="plan_changes"),
        Route("/hotspots", hotspots, name="hotspots"),
        Route("/kpis", kpis, name="kpis"),
        Route("/kpis/{kpi:path}", kpi, name="kpi"),
        Route("/alerts", alerts, name="alerts"),
        Route("/collector", collector, name="collector"),
        Route("/settings", settings, name="settings"),
        Route("/audit", audit, name="audit"),
        Mount("/static", static, name="static"),
    ]
