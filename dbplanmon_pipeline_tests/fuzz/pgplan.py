"""Plans of EXPLAIN (FORMAT JSON): read or refused, and without the values of their statements once redacted."""

import json

from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.redact import redact_pg_plan
from dbplanmon_pipeline.core.plans.postgres.text import plan_document
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.fuzz.pgplan_forms import PIECES, deep, documents, objects, reshaped, seeds, wrapped
from dbplanmon_pipeline_tests.fuzz.pgplan_planted import planted_by_servers, planted_everywhere
from dbplanmon_pipeline_tests.fuzz.plan_properties import PlanForm, plan_properties


def _redacted(text: str) -> str:
    return json.dumps(redact_pg_plan(text), ensure_ascii=False)


def _strings(text: str) -> set[str]:
    try:
        document = plan_document(text)
    except PlanParseError:
        return set()
    return {value for one in objects(document) for entry in one.values() for value in _listed(entry)}


def _listed(entry: object) -> list[str]:
    """Strings in lists within each other."""
    if isinstance(entry, list):
        return [text for one in entry for text in _listed(one)]
    return [entry] if isinstance(entry, str) else []


PROPERTIES = plan_properties(
    PlanForm(
        "pgjson",
        parse_pg_plan,
        _redacted,
        (*documents(), *seeds()),
        PIECES,
        reshaped(),
        deep(),
        wrapped,
        planted_everywhere(),
        planted_by_servers(),
        _strings,
    )
)
