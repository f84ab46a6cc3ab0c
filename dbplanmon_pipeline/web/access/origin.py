"""Whether a request comes from a page of ours, or is part of a page of somebody else."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

from dbplanmon_pipeline.web.context import context_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_same_origin(request: Request) -> bool:
    """True where the browser says that one of our pages sent this; false where it says nothing.

    `Sec-Fetch-Site` is missing over plain HTTP, and a proxy may change the host, so `Origin` may also be that of
    `web.public_url`.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None and origin is None:
        return False
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return True
    public = context_of(request).settings.web.public_url
    ours = {_origin(f"{request.scope['scheme']}://{request.headers.get('host', '')}")}
    if public is not None:
        ours.add(_origin(public))
    return _origin(origin) in ours - {None}


def is_embedded(headers: Headers) -> bool:
    """True where a page of another origin asked for this as an image, frame, script or fetch: nobody went there.

    A sibling below the same domain counts as another origin, whatever `SameSite` says of it. Browsers do not tell over
    plain HTTP; then `SameSite` alone decides.
    """
    if headers.get("sec-fetch-site") in (None, "same-origin", "none"):
        return False
    return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) != ("navigate", "document")


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
            return None
        return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None
