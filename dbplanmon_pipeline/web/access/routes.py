"""Log in and log out."""

from starlette.routing import BaseRoute


def access_routes() -> list[BaseRoute]:
    """Routes of the login."""
    return []
