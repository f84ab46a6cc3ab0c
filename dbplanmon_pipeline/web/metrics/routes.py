"""`/metrics`."""

from starlette.routing import BaseRoute


def metrics_routes() -> list[BaseRoute]:
    """Routes that need no login."""
    return []
