"""Forms of our own pages, read without a parser for files, which we never take."""

from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

KIND = "application/x-www-form-urlencoded"
_MOST_FIELDS = 200


async def read_form(request: Request) -> FormData:
    """The fields of a form; empty where another kind of body was sent.

    Raises:
        HTTPException: 400 for a form that cannot be read.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
        return FormData()
    try:
        text = (await request.body()).decode("utf-8")
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400, "the form cannot be read") from None
    return FormData([(name, value) for name, value in fields])
