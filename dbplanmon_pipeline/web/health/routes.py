"""`/health/live`, `/health/ready` and `/health`."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route


async def live(request: Request) -> JSONResponse:
    """This process answers; nothing is asked."""
    del request
    return JSONResponse({"status": "healthy"})


def health_routes() -> list[BaseRoute]:
    """Routes that need no login."""
    return [Route("/health/live", live)]
