"""A token in every form, bound to the login, so that another site cannot send the form in somebody's name."""

import hashlib
import hmac

from starlette.requests import Request

FIELD = "csrf_token"
HEADER = "x-csrf-token"


def csrf_token(request: Request) -> str:
    """What the hidden field `csrf_token` of every form holds; empty without a login."""
    key: bytes = getattr(request.state, "csrf_key", b"")
    return hmac.new(key, b"csrf", hashlib.sha256).hexdigest() if key else ""


def is_csrf_token(request: Request, given: str) -> bool:
    """True where the form was made for this login; compared in constant time."""
    expected = csrf_token(request)
    return bool(expected) and hmac.compare_digest(expected.encode(), given.encode(errors="replace"))
