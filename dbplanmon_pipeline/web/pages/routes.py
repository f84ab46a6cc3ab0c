"""Every page by its path."""

from starlette.routing import BaseRoute


def page_routes() -> list[BaseRoute]:
    """Pages and what they need: styles, scripts."""
    return []
