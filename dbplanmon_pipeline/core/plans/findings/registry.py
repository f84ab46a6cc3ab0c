"""All rules, and what they find in a plan."""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dbplanmon_pipeline.core.plans.findings import (
    access,
    compilation,
    estimates,
    joins,
    memory,
    missing_indexes,
    parallelism,
    predicates,
    repetition,
    statistics,
    waits,
)
from dbplanmon_pipeline.core.plans.findings.model import Finding, Found, Rule, Weight, weight_of
from dbplanmon_pipeline.core.plans.findings.view import StatementView, view_of
from dbplanmon_pipeline.core.plans.tree import Plan

_THEMES = (
    missing_indexes,
    predicates,
    access,
    joins,
    memory,
    repetition,
    estimates,
    statistics,
    compilation,
    parallelism,
    waits,
)
RULES: tuple[Rule, ...] = tuple(one for theme in _THEMES for one in theme.RULES)
"""In the order in which findings of equal weight and share are told."""

_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})
_RANK = {weight: place for place, weight in enumerate(Weight)}


def findings_of(plan: Plan, context: Mapping[str, Any] = _NO_CONTEXT) -> tuple[Finding, ...]:
    """What stands out in a plan, what weighs most first; at most one finding per rule and operator.

    Args:
        plan: of either engine, estimated or measured.
        context: what is known of the database it was read in, as in `CapturedPlan.context`.
    """
    found = [
        finding
        for number, statement in enumerate(plan.statements)
        if statement.trees
        for finding in _of_statement(view_of(plan.engine, statement, build=plan.version, context=context), number)
    ]
    return tuple(sorted(found, key=lambda one: (_RANK[one.weight], -one.share)))


def new_findings(old: Plan, new: Plan) -> tuple[Finding, ...]:
    """Findings of the new plan that the old one did not have, what weighs most first."""
    return compared_findings(old, new)[0]


def compared_findings(
    old: Plan,
    new: Plan,
    before: Mapping[str, Any] = _NO_CONTEXT,
    after: Mapping[str, Any] = _NO_CONTEXT,
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Findings of the new plan: those that the old one did not have, and the others; what weighs most first.

    Args:
        old: the former plan of a statement.
        new: its present one.
        before: what was known of the database when the former plan was read.
        after: likewise, of the present one.
    """
    known = Counter(finding.key for finding in findings_of(old, before))
    fresh, stayed = [], []
    for finding in findings_of(new, after):
        if known[finding.key]:
            known[finding.key] -= 1
            stayed.append(finding)
        else:
            fresh.append(finding)
    return tuple(fresh), tuple(stayed)


def _of_statement(view: StatementView, number: int) -> Iterator[Finding]:
    for rule in RULES:
        if view.engine in rule.engines:
            told: set[object] = set()
            for found in rule.check(view):
                place = found.node.number if found.node else found.subject
                if place not in told:
                    told.add(place)
                    yield _finding(rule, found, number)


def _finding(rule: Rule, found: Found, number: int) -> Finding:
    node = found.node
    return Finding(
        rule=rule.slug,
        title=rule.title,
        weight=found.weight or weight_of(found.share),
        statement=number,
        node=node.number if node else None,
        operator=node.words if node else "",
        share=found.share,
        text=found.text,
        advice=found.advice or rule.advice,
        measures=found.measures,
        subject=found.subject or (_subject(node.operator.target, node.operator.name) if node else ""),
        script=found.script,
    )


def _subject(target: str, name: str) -> str:
    return target or name
