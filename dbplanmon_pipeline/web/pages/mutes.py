"""Rules about messages nobody wants: why one is made, and how it is lifted from any page that shows it."""

from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dbplanmon_pipeline.services.mute_alerts import unmute_alerts
from dbplanmon_pipeline.web.access.guard import form_of, require
from dbplanmon_pipeline.web.access.paths import local_path
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.templating import with_query

MOST_NOTE = 2_000
UNMUTED = "Unmuted. Messages are sent again from now on; what was muted until now stays so."


@require(Role.OPERATOR)
def unmute(request: Request) -> Response:
    """End a rule, and go back to the page it was ended on."""
    context, form = context_of(request), form_of(request)
    unmute_alerts(
        context.session.store,
        request.path_params["mute_id"],
        actor=user_of(request).name,
        at=context.clock(),
        reason=reason_of(str(form.get("reason", ""))),
    )
    back = urlsplit(local_path(request, str(form.get("back", ""))))
    kept = dict(parse_qsl(back.query))
    return RedirectResponse(with_query(back.path, **kept | {"told": "unmuted"}), 303)


def reason_of(text: str) -> str:
    """Why somebody does something, as they wrote it.

    Raises:
        HTTPException: 400, it is too long.
    """
    reason = text.strip()
    if len(reason) > MOST_NOTE:
        raise HTTPException(400, f"a note has at most {MOST_NOTE:,} characters")
    return reason
