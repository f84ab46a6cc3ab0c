"""`/api/databases/{instance}/{database}`: one database, as its page shows it."""

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.records import Record, hotspot_record, incident_record, plan_change_record
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.api.answers import Answer
from dbplanmon_pipeline.web.api.readings import reading_record
from dbplanmon_pipeline.web.pages.database import DatabaseFacts, database_facts


@require(Role.VIEWER)
def database_json(request: Request) -> Response:
    """Its newest reading, what loads it, what changed in it, forced plans, Query Store."""
    return Answer(_record(database_facts(request)))


def _record(found: DatabaseFacts) -> Record:
    health = found.query_store
    return {
        "instance": found.ref.instance,
        "database": found.ref.database,
        "read_at": found.read_at,
        "reading": reading_record(found.reading) if found.reading else None,
        "source": found.source,
        "query_store": {"status": health.health, "detail": health.summary, "rows": health.rows} if health else None,
        "window": found.window.key,
        "rank_by": found.ranking.column,
        "hotspots": [hotspot_record(line.hotspot, line.statement) for line in found.hotspots],
        "incidents": [incident_record(incident) for incident in found.incidents],
        "incidents_total": found.incidents_total,
        "plan_changes": [plan_change_record(row.change) for row in found.changes.rows],
        "plan_changes_total": found.changes.total,
        "forced_plans": found.forced,
        "facts": {group.title: dict(group.facts) for group in found.groups},
        "fact_changes": [{"at": at, "what": what} for at, what in found.fact_changes],
    }
