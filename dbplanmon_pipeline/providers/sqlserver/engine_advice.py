"""What the server itself says about plans that got slower; shown beside our verdict, never acted upon."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbplanmon_pipeline.providers.sqlserver.hashes import hex_text
from dbplanmon_pipeline.providers.sqlserver.optional_rows import optional_rows
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement_in
from dbplanmon_pipeline.providers.sqlserver.value_lists import value_lists


@dataclass(frozen=True, slots=True)
class _Advice:
    """One row of `sql/tuning_recommendations.sql`; plans by the ids of the database."""

    score: int
    state: str
    reason: str
    regressed_plan: int
    recommended_plan: int


def read_engine_advice(session: Session) -> dict[str, str]:
    """One line per statement: score, what would be forced, state; the highest score where there are several.

    Returns:
        by `engine advice <query_hash>`, for example `score 87: force plan <hash> instead of <hash>, Active`.

    Raises:
        ProviderError: the server did not answer at all.
    """
    read = (_advice(row) for row in optional_rows(session, "tuning_recommendations"))
    advice = [one for one in read if one is not None]
    plans = sorted({plan for one in advice for plan in (one.regressed_plan, one.recommended_plan)})
    if not plans:
        return {}
    hashes = {
        plan_id: (hex_text(query_hash), hex_text(plan_hash))
        for ids in value_lists(plans)
        for plan_id, query_hash, plan_hash in optional_rows(
            session, "plan_hashes", ids, statement_in("plan_hashes", len(ids))
        )
    }
    found: dict[str, str] = {}
    for one in sorted(advice, key=lambda one: -one.score):
        if one.recommended_plan in hashes:
            query_hash, recommended = hashes[one.recommended_plan]
            regressed = hashes.get(one.regressed_plan, ("", "one that is gone"))[1]
            found.setdefault(f"engine advice {query_hash}", _line(one, recommended, regressed))
    return found


def _line(one: _Advice, recommended: str, regressed: str) -> str:
    why = f" ({one.reason})" if one.reason else ""
    return f"score {one.score}: force plan {recommended} instead of {regressed}, {one.state or 'state unknown'}{why}"


def _advice(row: tuple[Any, ...]) -> _Advice | None:
    score, state_json, details_json = row
    state = _document(state_json)
    plans = _document(details_json).get("planForceDetails")
    if not isinstance(plans, Mapping):
        return None
    regressed, recommended = _number(plans.get("regressedPlanId")), _number(plans.get("recommendedPlanId"))
    if recommended is None:
        return None
    return _Advice(int(score or 0), _word(state, "currentValue"), _word(state, "reason"), regressed or 0, recommended)


def _document(text: str | None) -> Mapping[str, Any]:
    try:
        document = json.loads(text or "")
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}


def _word(document: Mapping[str, Any], name: str) -> str:
    """The server writes single words here; anything else is not passed on."""
    word = document.get(name)
    return word if isinstance(word, str) and word.isidentifier() else ""


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else None
