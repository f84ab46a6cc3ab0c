"""What must be true of a plan whatever stands in it: it can be told, or it is refused in one line."""

import json
from collections.abc import Callable

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.optimizer_advice import advised_by_optimizer
from dbplanmon_pipeline.core.plans.diff import diff_plans
from dbplanmon_pipeline.core.plans.findings.registry import findings_of
from dbplanmon_pipeline.core.plans.findings.words import finding_record, marks_of, numbered_lines
from dbplanmon_pipeline.core.plans.index_candidates import index_candidates
from dbplanmon_pipeline.core.plans.render import render_tree
from dbplanmon_pipeline.core.plans.tree import Plan
from dbplanmon_pipeline.errors import PlanParseError

_LONGEST_COMPLAINT = 200


def read_or_refused(parse: Callable[[str], Plan], text: str, form: str) -> None:
    """Parse the text and tell everything of it that can be told.

    Raises:
        AssertionError: a refusal is no short line, or a finding is none.
        Exception: whatever any part raises beside a refusal.
    """
    complaint = ""
    try:
        plan = parse(text)
    except PlanParseError as refused:
        complaint = str(refused) or "\n"
    if complaint:
        assert "\n" not in complaint
        assert len(complaint) < _LONGEST_COMPLAINT
        return
    told = findings_of(plan)
    assert all(0.0 <= one.share <= 1.0 + 1e-9 for one in told)
    assert isinstance(render_tree(plan, marks_of(told)), str)
    assert json.dumps([finding_record(one) for one in told])
    assert isinstance(numbered_lines(told), list)
    assert not diff_plans(plan, plan).changes
    assert all(one.columns and one.definition for one in index_candidates(plan))
    captured = CapturedPlan(1, 1, form, text)
    assert all(draft.rationale for draft in advised_by_optimizer("Shop", None, captured))
