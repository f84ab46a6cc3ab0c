"""`/health/live`, `/health/ready` and `/health`."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from dbplanmon_pipeline.core.health import Health
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.health.board import Judged, worst
from dbplanmon_pipeline.web.health.checks import Tag
from dbplanmon_pipeline.web.probes import probes_of

_NOT_KEPT = {"Cache-Control": "no-store"}


async def live(request: Request) -> JSONResponse:
    """This process answers; nothing is asked."""
    del request
    return JSONResponse({"status": "healthy"}, headers=_NOT_KEPT)


async def ready(request: Request) -> JSONResponse:
    """The store is there and databases are being read."""
    return _answer(request, await probes_of(request).board.judge(Tag.READINESS))


async def health(request: Request) -> JSONResponse:
    """Every check."""
    return _answer(request, await probes_of(request).board.judge())


def _answer(request: Request, lines: Sequence[Judged]) -> JSONResponse:
    """200 for healthy and degraded, 503 for unhealthy; details are for those who may look."""
    status = worst([line.finding.health for line in lines])
    document: dict[str, object] = {"status": status.value}
    document["age_seconds"] = round(max((line.age_seconds for line in lines), default=0.0), 1)
    if user_of(request).role.covers(Role.VIEWER):
        document["checks"] = [check_record(line) for line in lines]
    return JSONResponse(document, 503 if status is Health.UNHEALTHY else 200, headers=_NOT_KEPT)


def check_record(line: Judged) -> dict[str, object]:
    """One line of the answer."""
    return {
        "name": line.name,
        "status": line.finding.health.value,
        "tags": [tag.value for tag in line.tags],
        "duration_ms": round(line.duration_ms, 1),
        "age_seconds": round(line.age_seconds, 1),
        "detail": line.finding.summary,
    }


def health_routes() -> list[BaseRoute]:
    """Routes that need no login."""
    return [Route("/health/live", live), Route("/health/ready", ready), Route("/health", health)]
