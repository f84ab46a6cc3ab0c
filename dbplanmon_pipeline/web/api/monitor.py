"""`/api/collector` and `/api/settings`: how the monitor itself does, and what holds."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.records import Record
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.api.answers import MOST_PER_PAGE, Answer, limit_of
from dbplanmon_pipeline.web.api.readings import reading_record
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.health.routes import check_record
from dbplanmon_pipeline.web.pages.collector import CollectorFacts, JobRow, collector_facts
from dbplanmon_pipeline.web.pages.settings import setting_groups
from dbplanmon_pipeline.web.probes import probes_of


@require(Role.VIEWER)
async def collector_json(request: Request) -> Response:
    """Checks, failed readings with what helps, the newest reading of each database, jobs, and the store."""
    lines = await probes_of(request).board.judge()
    found = await run_in_threadpool(collector_facts, request, lines)
    return Answer(_collector_record(found, limit_of(request, MOST_PER_PAGE)))


@require(Role.VIEWER)
def settings_json(request: Request) -> Response:
    """Every value with the place it was written at; null for a default."""
    groups = setting_groups(context_of(request).settings)
    rows = [
        {"section": group.title, "key": row.key, "value": row.value, "source": row.source or None}
        for group in groups
        for row in group.rows
    ]
    return Answer({"settings": rows, "left_out": sum(group.left_out for group in groups)})


def _collector_record(found: CollectorFacts, limit: int) -> Record:
    return {
        "status": found.state,
        "checks": [check_record(line) for line in found.lines],
        "failures": [
            {
                "error_class": one.error_class,
                "remedy": one.remedy,
                "databases": [str(reading.ref) for reading in one.readings[:limit]],
                "total": len(one.readings),
            }
            for one in found.failures
        ],
        "readings": [reading_record(reading) for reading in found.readings[:limit]],
        "readings_total": len(found.readings),
        "left_alone": [_job_record(job) for job in found.breakers],
        "jobs": [_job_record(job) for job in found.jobs],
        "store": {
            "url": found.store_url,
            "bytes": found.figures.store_bytes,
            "archive_bytes": found.figures.archive_bytes,
            "tables": found.tables,
        },
        "spool": found.spool,
    }


def _job_record(job: JobRow) -> Record:
    state = job.state
    return {
        "kind": job.kind,
        "name": job.name,
        "rests": job.rests,
        "failures_in_a_row": state.consecutive_failures,
        "last_success_at": state.last_success_at,
        "last_failure_at": state.last_failure_at,
        "next_attempt_at": state.next_attempt_at,
        "detail": state.detail,
    }
