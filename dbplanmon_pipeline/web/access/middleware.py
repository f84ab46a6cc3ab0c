"""What every request passes before a page sees it."""

from starlette.middleware import Middleware

from dbplanmon_pipeline.web.access.answers import LastResort
from dbplanmon_pipeline.web.access.bodies import BodyLimit
from dbplanmon_pipeline.web.access.forwarded import Forwarded
from dbplanmon_pipeline.web.access.headers import SecurityHeaders
from dbplanmon_pipeline.web.access.hosts import KnownHosts
from dbplanmon_pipeline.web.access.identity import Identity
from dbplanmon_pipeline.web.context import WebContext


def protection(context: WebContext) -> list[Middleware]:
    """From the outermost to the innermost."""
    web = context.settings.web
    return [
        Middleware(Forwarded, web),
        Middleware(SecurityHeaders),
        Middleware(LastResort),
        Middleware(KnownHosts, web),
        Middleware(BodyLimit),
        Middleware(Identity, context),
    ]
