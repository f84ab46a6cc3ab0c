"""Where to go on after a form, as the form says it: one of our own pages."""

from urllib.parse import urlsplit

from starlette.requests import Request

from dbplanmon_pipeline.web.access.answers import root_of


def local_path(request: Request, wanted: str) -> str:
    """The page to go on with: one of ours, never another site; the first one where `wanted` is none of ours."""
    home = f"{root_of(request.scope)}/"
    if not wanted.startswith(home) or wanted.startswith("//") or "\\" in wanted or not wanted.isprintable():
        return home
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return home
    return home if parts.scheme or parts.netloc or parts.path == f"{home}login" else wanted
