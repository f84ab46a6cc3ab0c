"""What must be true of a plan whatever stands in it: it can be told, or it is refused in one line."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.plans.comparing.diff import diff_plans
from dbplanmon_pipeline.core.plans.comparing.matching import match_plans
from dbplanmon_pipeline.core.plans.comparing.signs import signs_of
from dbplanmon_pipeline.core.plans.findings.registry import compared_findings, findings_of
from dbplanmon_pipeline.core.plans.findings.words import finding_record, marks_of, numbered_lines
from dbplanmon_pipeline.core.plans.postgres.index_candidates import index_candidates
from dbplanmon_pipeline.core.plans.render import render_tree
from dbplanmon_pipeline.core.plans.tree import Plan
from dbplanmon_pipeline.core.remedies.remediation import suggest
from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.remedies.test_remediation import INCIDENT, NOW

_LONGEST_COMPLAINT = 200
_OF_A_STATEMENT = replace(INCIDENT, database="Shop", query_hash=7, plan_hash=2, previous_plan_hash=1)


def complaint_of(act: Callable[[], object]) -> str:
    """The refusal of a text; empty where it is taken.

    Raises:
        AssertionError: the refusal is no short line.
        Exception: whatever is raised beside a refusal.
    """
    try:
        act()
    except PlanParseError as refused:
        complaint = str(refused)
        assert complaint
        assert "\n" not in complaint
        assert len(complaint) < _LONGEST_COMPLAINT
        return complaint
    return ""


def read_or_refused(parse: Callable[[str], Plan], text: str) -> None:
    """Parse the text and show everything of it that can be shown.

    Raises:
        AssertionError: a refusal is no short line, or a finding is none.
        Exception: whatever any part raises beside a refusal.
    """
    plans: list[Plan] = []
    if complaint_of(lambda: plans.append(parse(text))):
        return
    (plan,) = plans
    told = findings_of(plan)
    assert all(0.0 <= one.share <= 1.0 + 1e-9 for one in told)
    assert isinstance(render_tree(plan, marks_of(told), width=100), str)
    assert json.dumps([finding_record(one) for one in told])
    assert isinstance(numbered_lines(told), list)
    assert not diff_plans(plan, plan).changes
    assert all(one.columns and one.definition for one in index_candidates(plan))


def differences_told(old: Plan, new: Plan) -> None:
    """Compare two plans of one engine in every way.

    Raises:
        AssertionError: an operator is matched not once, or a change has no words.
        Exception: whatever any part raises.
    """
    fresh, stayed = compared_findings(old, new)
    difference = diff_plans(old, new, fresh=fresh, stayed=stayed)
    assert difference.summary
    assert all(change.text and "\n" not in change.kind for change in difference.changes)
    matches = match_plans(old, new)
    for plan, sides in ((old, [one.old for one in matches]), (new, [one.new for one in matches])):
        assert sorted(place for place in sides if place is not None) == list(range(len(plan.statements)))
    for match in matches:
        for plan, place, numbers in (
            (old, match.old, [node.old for node in match.nodes]),
            (new, match.new, [node.new for node in match.nodes]),
        ):
            count = 0 if place is None else sum(1 for _ in plan.statements[place].operators())
            assert sorted(number for number in numbers if number is not None) == list(range(count))
    assert len(signs_of(matches)) == 2


def words_about(old: Plan, new: Plan, bodies: tuple[str, str], form: str) -> Iterator[str]:
    """Everything that people are told of the new plan of a statement, but for the plan and the text themselves.

    Args:
        old: the former plan.
        new: the present one.
        bodies: their texts.
        form: of the texts, as `CapturedPlan.format` names it.
    """
    for finding in findings_of(new):
        yield json.dumps([finding_record(finding), finding.subject])
    for before, after in ((old, new), (new, old), (new, new)):
        fresh, stayed = compared_findings(before, after)
        difference = diff_plans(before, after, fresh=fresh, stayed=stayed)
        yield difference.summary
        for change in difference.changes:
            yield f"{change.node}\n{change.before}\n{change.after}\n{change.text}"
        for match in match_plans(before, after):
            yield "\n".join(word for node in match.nodes for word in node.what)
    was, now = (CapturedPlan(7, number, form, body) for number, body in enumerate(bodies, 1))
    for suggestion in suggest(
        _OF_A_STATEMENT, old=was, new=now, statement=None, dialect=new.engine, now=NOW, present={}
    ):
        yield f"{suggestion.rationale}\n{suggestion.script}\n{suggestion.undo_script}"
    for candidate in index_candidates(new):
        yield candidate.definition
    for statement in new.statements:
        yield fingerprint(statement.text, Dialect.of(Engine(new.engine))).text
