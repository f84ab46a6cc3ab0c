"""What every page shares: the settings, a session that stays open, and the clock."""

from dataclasses import dataclass

from starlette.requests import Request

from dbplanmon_pipeline.composition import Session
from dbplanmon_pipeline.core.ports import Clock
from dbplanmon_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class WebContext:
    """What the pages are made from.

    Attributes:
        settings: as loaded.
        session: open for the life of the app; its store may be used by many threads.
        clock: the present moment, aware UTC.
    """

    settings: Settings
    session: Session
    clock: Clock


def context_of(request: Request) -> WebContext:
    """The context of the app that got this request."""
    context: WebContext = request.app.state.context
    return context
