"""Showplans: read or refused, and without the values of their statements once they are redacted."""

from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.showplan.redact import redact_showplan
from dbplanmon_pipeline_tests.fuzz.plan_properties import PlanForm, plan_properties
from dbplanmon_pipeline_tests.fuzz.showplan_forms import PIECES, deep, reshaped, seeds, wrapped
from dbplanmon_pipeline_tests.fuzz.showplan_planted import planted_by_servers, planted_everywhere

PROPERTIES = plan_properties(
    PlanForm(
        "showplan",
        parse_showplan,
        redact_showplan,
        seeds(),
        PIECES,
        reshaped(),
        deep(),
        wrapped,
        planted_everywhere(),
        planted_by_servers(),
    )
)
