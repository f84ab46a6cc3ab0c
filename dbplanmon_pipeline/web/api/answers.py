"""JSON as all routes below `/api/` give it, and how many rows a program may ask for at once."""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from dbplanmon_pipeline.core.jsonable import jsonable

MOST_PER_PAGE = 500
PAGE = 50

_BY_NUMBER = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\x7f"}


class Answer(JSONResponse):
    """Values of the house as JSON in ASCII.

    Names and statements are foreign text: whatever could turn the direction of writing, cannot be seen, or is markup
    stands in it by number. So nothing happens where somebody looks at it or puts it into a page, and a program reads
    the very name that it may ask with again.
    """

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        text = json.dumps(jsonable(content), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        return text.translate(_BY_NUMBER).encode("ascii")


def limit_of(request: Request, default: int = PAGE) -> int:
    """How many rows are asked for, 500 at most.

    Raises:
        HTTPException: 400, that is no number, or less than one.
    """
    text = request.query_params.get("limit", "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and int(text[:9])):
        raise HTTPException(400, f"the limit is a number from 1 to {MOST_PER_PAGE}, not {text[:40]!r}")
    return min(int(text[:9]), MOST_PER_PAGE)


async def body_of(request: Request, keys: tuple[str, ...]) -> dict[str, str]:
    """The body: an object whose values are texts, with no other keys; empty where nothing was sent.

    Raises:
        HTTPException: 400, it is something else.
    """
    body = await request.body()
    try:
        given = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is no JSON") from None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise HTTPException(400, f"send an object of texts; its keys are {', '.join(keys)}")
    unknown = [name for name in given if name not in keys]
    if unknown:
        raise HTTPException(400, f"{unknown[0][:40]!r} is not known here; the keys are {', '.join(keys)}")
    return given
