"""`/api/mutes`: whose messages nobody wants, and when messages wait; rules are made and ended here, too."""

from dataclasses import fields

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.model import Label, hash_int
from dbplanmon_pipeline.core.records import Record
from dbplanmon_pipeline.core.records_of_people import mute_record, window_record
from dbplanmon_pipeline.services.mute_alerts import MuteScope, mute_alerts, unmute_alerts
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.api.answers import Answer, body_of
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.mutes import reason_of

LONGEST_WORD = 300
_SCOPE = tuple(field.name for field in fields(MuteScope))
_KEYS = (*_SCOPE, "for", "reason")


@require(Role.VIEWER)
def mutes_json(request: Request) -> Response:
    """Rules in force and maintenance windows, the oldest first."""
    context = context_of(request)
    store, now = context.session.store, context.clock()
    return Answer(
        {
            "mutes": [mute_record(rule) for rule in store.mutes(at=now)],
            "windows": [window_record(window, now) for window in store.windows()],
        }
    )


@require(Role.OPERATOR)
async def mute_json(request: Request) -> Response:
    """Add a rule: `{"instance": ..., "for": "24h", "reason": "why"}`, any of `MuteScope`."""
    given = await body_of(request, _KEYS)
    return await run_in_threadpool(_mute, request, given)


@require(Role.OPERATOR)
async def unmute_json(request: Request) -> Response:
    """End a rule: `{"reason": "why"}` or nothing."""
    given = await body_of(request, ("reason",))
    return await run_in_threadpool(_unmute, request, given)


def _mute(request: Request, given: dict[str, str]) -> Response:
    context = context_of(request)
    rule = mute_alerts(
        context.session.store,
        _scope(given),
        span=given.get("for", "24h"),
        actor=user_of(request).name,
        at=context.clock(),
        reason=reason_of(given.get("reason", "")),
    )
    return Answer(mute_record(rule), 201)


def _unmute(request: Request, given: dict[str, str]) -> Response:
    context = context_of(request)
    rule = unmute_alerts(
        context.session.store,
        request.path_params["mute_id"],
        actor=user_of(request).name,
        at=context.clock(),
        reason=reason_of(given.get("reason", "")),
    )
    return Answer({"mute_id": rule.mute_id, "removed_by": user_of(request).name})


def _scope(given: dict[str, str]) -> MuteScope:
    words: Record = {name: given.get(name, "").strip() for name in _SCOPE}
    for name, value in words.items():
        if len(str(value)) > LONGEST_WORD:
            raise HTTPException(400, f"{name} has at most {LONGEST_WORD} characters")
    label, digits = str(words["label"]), str(words["query_hash"])
    if label and label not in set(Label):
        raise HTTPException(400, f"the label is one of {', '.join(Label)}, not {label[:40]!r}")
    try:
        query_hash = hash_int(digits)
    except ValueError:
        raise HTTPException(400, f"a query_hash has 16 hex digits, unlike {digits[:40]!r}") from None
    return MuteScope(str(words["instance"]), str(words["database"]), query_hash, label, str(words["text"]))
