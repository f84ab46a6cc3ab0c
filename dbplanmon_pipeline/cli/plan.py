"""`dbplanmon plan`: one plan as a tree, or what differs between two."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_json
from dbplanmon_pipeline.cli.plan_text import print_difference, print_plan
from dbplanmon_pipeline.core.model import hash_int, hash_text
from dbplanmon_pipeline.core.plans.comparing.diff import diff_plans
from dbplanmon_pipeline.core.plans.comparing.matching import StatementMatch, match_plans
from dbplanmon_pipeline.core.plans.encoding import plan_text
from dbplanmon_pipeline.core.plans.findings.model import Finding
from dbplanmon_pipeline.core.plans.findings.registry import compared_findings, findings_of
from dbplanmon_pipeline.core.plans.findings.words import finding_record
from dbplanmon_pipeline.core.plans.postgres.partitions import PARTITIONS, gathered
from dbplanmon_pipeline.core.plans.stored import parse_plan
from dbplanmon_pipeline.core.plans.tree import Operator, Plan, PlanStatement
from dbplanmon_pipeline.errors import PlanParseError

LARGEST_FILE_BYTES = 64 * 1024 * 1024
_HASH = re.compile(r"(?:0x)?[0-9a-fA-F]{16}")


@click.group()
def plan() -> None:
    """Show a plan, or the difference of two."""


@plan.command("show")
@click.argument("source", metavar="FILE|HASH")
@json_option
@pass_invocation
def show_plan(invocation: Invocation, source: str, as_json: bool) -> None:
    """Show the operators of a plan and what stands out in it.

    The plan is a file (EXPLAIN as text or in JSON, or a SQL Server showplan), or a stored one, named by its hash.
    """
    found = read_plan(invocation, source)
    if as_json:
        print_json(plan_record(found))
        return
    print_plan(found)


@plan.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--trees/--no-trees", default=True, help="Show both trees with what changed marked, or leave them out.")
@json_option
@pass_invocation
def diff(invocation: Invocation, old: str, new: str, trees: bool, as_json: bool) -> None:
    """Say what differs between two plans, each a file or the hash of a stored plan."""
    before, after = read_plan(invocation, old), read_plan(invocation, new)
    if before.engine != after.engine:
        raise click.ClickException(
            f"{old} and {new} are plans of {before.engine} and {after.engine}; give one engine's"
        )
    fresh, stayed = compared_findings(before, after)
    difference = diff_plans(before, after, fresh=fresh, stayed=stayed)
    if not as_json:
        print_difference((before, after), difference, fresh, match_plans(before, after) if trees else None)
        return
    changes = [
        {"kind": c.kind, "node": c.node, "before": c.before, "after": c.after, "text": c.text}
        for c in difference.changes
    ]
    print_json(
        {
            "changes": changes,
            "summary": difference.summary,
            "new_findings": [finding_record(finding) for finding in fresh],
            "statements": [_match_record(match) for match in match_plans(before, after)],
        }
    )


def _match_record(match: StatementMatch) -> dict[str, object]:
    """Which operator is which, in the keys of docs/cli.md."""
    nodes = [{"old": n.old, "new": n.new, "change": n.change, "what": list(n.what)} for n in match.nodes]
    return {"old": match.old, "new": match.new, "operators": nodes}


def read_plan(invocation: Invocation, source: str) -> Plan:
    """The plan of a file, or a stored one by its hash.

    Raises:
        PlanParseError: the text is no plan.
        click.ClickException: there is no such file and no such hash.
    """
    path = Path(source)
    if path.is_file():
        return _parse(_file_text(path), source)
    if _HASH.fullmatch(source):
        return _parse(_stored_body(invocation, source), source)
    if source and path.is_dir():
        raise click.ClickException(f"{source} is a folder; name a file with a plan")
    raise click.ClickException(f"{source or 'an empty name'}: no such file, and no plan hash (16 hex digits)")


def _parse(text: str, source: str) -> Plan:
    try:
        return gathered(parse_plan(text))
    except PlanParseError as error:
        raise PlanParseError(f"{source}: {error}") from error


def _file_text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise click.ClickException(f"{path} is larger than {LARGEST_FILE_BYTES // 2**20} MB; that is no plan")
        raw = path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        return plan_text(raw)
    except PlanParseError as error:
        raise PlanParseError(f"{path}: {error}") from error


def _stored_body(invocation: Invocation, digits: str) -> str:
    with invocation.session() as session:
        stored = session.store.plan(hash_int(digits))
    if stored is None:
        raise click.ClickException(f"no plan {digits} in the store")
    if stored.reason:
        raise click.ClickException(f"plan {digits} was not kept: {stored.reason.removeprefix('no plan: ')}")
    return stored.body


def plan_record(found: Plan) -> dict[str, object]:
    """A plan in the keys of docs/cli.md."""
    findings = findings_of(found)
    return {
        "engine": found.engine,
        "version": found.version,
        "statements": [
            _statement_record(statement, [one for one in findings if one.statement == number])
            for number, statement in enumerate(found.statements)
        ],
        "counts": found.counts,
    }


def _statement_record(statement: PlanStatement, findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "text": statement.text,
        "type": statement.kind,
        "query_hash": hash_text(statement.query_hash),
        "plan_hash": hash_text(statement.plan_hash),
        "estimated_cost": statement.estimated_cost,
        "operators": list(_operator_records(statement)),
        "missing_indexes": statement.missing_indexes,
        "warnings": statement.warnings,
        "parameters": statement.parameters,
        "findings": [finding_record(finding) for finding in findings],
    }


def _operator_records(statement: PlanStatement) -> Iterator[dict[str, object]]:
    """Operators in the order of the plan; `parent` is the `id` of the operator that takes its rows."""
    waiting: list[tuple[Operator, int | None, int]] = [(tree, None, 0) for tree in reversed(statement.trees)]
    number = 0
    while waiting:
        operator, parent, depth = waiting.pop()
        yield {"id": number, "parent": parent, "depth": depth, **_operator_fields(operator)}
        waiting.extend((child, number, depth + 1) for child in reversed(operator.children))
        number += 1


def _operator_fields(operator: Operator) -> dict[str, object]:
    return {
        "kind": operator.kind,
        "name": operator.name,
        "role": operator.role,
        "schema": operator.schema,
        "relation": operator.relation,
        "alias": operator.alias,
        "index": operator.index,
        "join_type": operator.join_type,
        "strategy": operator.strategy,
        "parallel": operator.parallel,
        "conditions": [{"name": name, "expression": expression} for name, expression in operator.conditions],
        "estimated_rows": operator.estimated_rows,
        "estimated_cost": operator.estimated_cost,
        "actual_rows": operator.actual_rows,
        "actual_loops": operator.actual_loops,
        "partitions": operator.attributes.get(PARTITIONS),
        "actual_ms": operator.actual_ms,
    }
