"""Every route for programs by its path."""

from starlette.routing import BaseRoute, Route

from dbplanmon_pipeline.web.api.databases import database_json
from dbplanmon_pipeline.web.api.deployments import deployments_json, mark_deployment, take_back_deployment
from dbplanmon_pipeline.web.api.fleet import fleet_json
from dbplanmon_pipeline.web.api.kpis import kpi_json, kpis_json
from dbplanmon_pipeline.web.api.lists import alerts_json, audit_json, hotspots_json, plan_changes_json
from dbplanmon_pipeline.web.api.monitor import collector_json, settings_json
from dbplanmon_pipeline.web.api.mutes import mute_json, mutes_json, unmute_json
from dbplanmon_pipeline.web.api.statements import statement_json
from dbplanmon_pipeline.web.pages.decisions import decide_json
from dbplanmon_pipeline.web.pages.incident import incident_json
from dbplanmon_pipeline.web.pages.incidents import incidents_json


def api_routes() -> list[BaseRoute]:
    """Each page has a twin below `/api` of the same path and query."""
    return [
        Route("/api/fleet", fleet_json, name="fleet_json"),
        Route("/api/incidents", incidents_json, name="incidents_json"),
        Route("/api/incidents/{incident_id}", incident_json, name="incident_json"),
        Route("/api/incidents/{incident_id}/{event}", decide_json, methods=["POST"], name="decide_json"),
        Route("/api/statements/{instance}/{database:path}/{query_hash}", statement_json, name="statement_json"),
        Route("/api/databases/{instance}/{database:path}", database_json, name="database_json"),
        Route("/api/plan-changes", plan_changes_json, name="plan_changes_json"),
        Route("/api/hotspots", hotspots_json, name="hotspots_json"),
        Route("/api/kpis", kpis_json, name="kpis_json"),
        Route("/api/kpis/{kpi:path}", kpi_json, name="kpi_json"),
        Route("/api/alerts", alerts_json, name="alerts_json"),
        Route("/api/mutes", mutes_json, name="mutes_json"),
        Route("/api/mutes", mute_json, methods=["POST"], name="mute_json"),
        Route("/api/mutes/{mute_id}/remove", unmute_json, methods=["POST"], name="unmute_json"),
        Route("/api/deploys", deployments_json, name="deployments_json"),
        Route("/api/deploys", mark_deployment, methods=["POST"], name="mark_deployment"),
        Route("/api/deploys/{deployment:path}", take_back_deployment, methods=["DELETE"], name="take_back_deployment"),
        Route("/api/collector", collector_json, name="collector_json"),
        Route("/api/settings", settings_json, name="settings_json"),
        Route("/api/audit", audit_json, name="audit_json"),
    ]
