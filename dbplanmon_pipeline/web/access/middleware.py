"""What every request passes before a page sees it."""

from starlette.middleware import Middleware

from dbplanmon_pipeline.web.context import WebContext


def protection(context: WebContext) -> list[Middleware]:
    """From the outermost to the innermost."""
    del context
    return []
