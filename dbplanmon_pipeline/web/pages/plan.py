"""`/plans/{plan_hash}`: a stored plan as a tree, or beside another one."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.model import hash_int
from dbplanmon_pipeline.services.explain import describe_plan_change, findings_between
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.plan_sides import plan_side, plan_sides
from dbplanmon_pipeline.web.pages.templating import render


@require(Role.VIEWER)
def plan(request: Request) -> Response:
    """The page; `?before=HASH` puts an earlier plan beside it, with the differences in words."""
    store = context_of(request).session.store
    now = _hash(request.path_params["plan_hash"])
    before = _hash(request.query_params.get("before", ""))
    new, old = store.plan(now), store.plan(before) if before else None
    if new is None and old is None:
        raise HTTPException(404, "this plan is not in the store (any more)")
    fresh, stayed = findings_between(old, new)
    summary, lines = describe_plan_change(old, new, (fresh, stayed)) if before and before != now else ("", ())
    sides = plan_sides(old, new, (before, now)) if before and before != now else None
    return render(
        request,
        "plan.html",
        plan_hash=now,
        before=before,
        sides=sides or (plan_side(new, now),),
        summary=summary,
        lines=lines,
        new_findings=fresh,
        findings=stayed,
        context=[(kind, sorted(new.context.get(kind, {}).items())) for kind in ("indexes", "settings")] if new else [],
    )


def _hash(text: str) -> int:
    try:
        return hash_int(text)
    except ValueError:
        raise HTTPException(404, "a plan is named by 16 hex digits") from None
