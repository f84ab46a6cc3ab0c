"""An explanation as one document, the same from the command line and from the API."""

from collections.abc import Iterable
from typing import Any

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange
from dbplanmon_pipeline.core.plans.findings.words import finding_record
from dbplanmon_pipeline.core.ports import Suggestion
from dbplanmon_pipeline.core.records import (
    captured_plan_record,
    cause_record,
    change_record,
    incident_record,
    suggestion_record,
)
from dbplanmon_pipeline.services.explain import Explanation


def explanation_record(
    incident: Incident, explanation: Explanation, suggestions: Iterable[Suggestion], history: Iterable[IncidentChange]
) -> dict[str, Any]:
    """The incident with its text, plans, causes, ways back and steps; for JSON."""
    return {
        **incident_record(incident),
        "statement": explanation.statement.text if explanation.statement else "",
        "plan_summary": explanation.plan_summary,
        "plan_changes": explanation.plan_lines,
        "new_findings": [finding_record(finding) for finding in explanation.new_findings],
        "findings": [finding_record(finding) for finding in explanation.findings],
        "context": explanation.context_lines,
        "causes": [cause_record(cause) for cause in explanation.ranked],
        "engine_advice": explanation.engine_advice,
        "old_plan": captured_plan_record(explanation.old_plan),
        "new_plan": captured_plan_record(explanation.new_plan),
        "suggestions": [suggestion_record(suggestion) for suggestion in suggestions],
        "history": [change_record(change) for change in history],
    }
