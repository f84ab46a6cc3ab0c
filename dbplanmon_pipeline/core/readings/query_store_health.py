"""What is wrong with Query Store of the watched databases, judged from their facts and how these changed; pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from dbplanmon_pipeline.core.health import Finding, Health, Row
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange

STATE_FACT = "query store state"
"""`READ_WRITE`, `READ_ONLY (why)`, `OFF` or `ERROR`."""

SIZE_FACT = "query store size"
"""`70 % of 1000 MB`, in steps of SIZE_STEP_PERCENT."""

IDENTITY_FACT = "database identity"
"""The same as long as the database is the same one; a restore brings another."""

FORCED_PLAN_FACT = "forced plan "
"""Facts with this prefix name a statement and a plan, both by hash; see `forced_plan_value`."""

SIZE_STEP_PERCENT = 10
FULL_PERCENT = 90

_HEALTHY_STATES = ("READ_WRITE", "READ_ONLY (secondary replica)")
_FAILURES = re.compile(r"forced(?:, (\d+) failures?(?:: (.*))?)?")


def forced_plan_value(failures: int, reason: str) -> str:
    """`forced`, or `forced, 3 failures: NO_INDEX`."""
    if not failures:
        return "forced"
    told = f"forced, {failures} failure{'s' if failures > 1 else ''}"
    return f"{told}: {reason}" if reason else told


def force_failures(value: str) -> int:
    """How many failures a value of `forced_plan_value` tells; 0 for any other text."""
    match = _FAILURES.fullmatch(value)
    return int(match[1] or 0) if match else 0


def query_store_health(facts: Mapping[DatabaseRef, Mapping[str, str]], changes: Sequence[FactChange] = ()) -> Finding:
    """Unhealthy where Query Store failed, degraded where it records nothing, is nearly full or cannot force a plan.

    Databases without the facts (other engines, no permission) are not judged. Failures to force a plan count only as
    far as they rose while the database was the same one: a restored database brings its old count along.

    Args:
        facts: what holds now, by name, per database.
        changes: of those databases, over the time that is judged.
    """
    judged = sorted(ref for ref, known in facts.items() if STATE_FACT in known)
    rows = [row for ref in judged for row in _state_problems(ref, facts[ref])]
    rows += _force_problems([change for change in changes if change.ref in facts])
    if not rows:
        return Finding(
            Health.HEALTHY, f"Query Store records in {len(judged)} databases" if judged else "no Query Store"
        )
    names = list(dict.fromkeys(str(row["database"]) for row in rows))
    failed = any(row["problem"] == "error" for row in rows)
    summary = f"Query Store has trouble in {len(names)} of {len(facts)} databases: {', '.join(names[:3])}"
    more = " ..." if len(names) > 3 else ""
    return Finding(Health.UNHEALTHY if failed else Health.DEGRADED, summary + more, tuple(rows))


def _state_problems(ref: DatabaseRef, known: Mapping[str, str]) -> list[Row]:
    state = known[STATE_FACT]
    rows = [] if state in _HEALTHY_STATES else [_row(ref, _problem(state), f"Query Store is {state}")]
    size = known.get(SIZE_FACT, "")
    if state != "OFF" and _percent(size) >= FULL_PERCENT:
        rows.append(_row(ref, "nearly_full", f"Query Store holds {size}"))
    return rows


def _problem(state: str) -> str:
    return {"OFF": "off", "ERROR": "error"}.get(state, "read_only")


def _percent(size: str) -> int:
    number = size.partition(" %")[0]
    return int(number) if number.isdigit() else 0


def _force_problems(changes: Sequence[FactChange]) -> list[Row]:
    """One row per plan: from the count before the first rise to the count after the last."""
    replaced = {(change.ref, change.seen_at) for change in changes if change.name == IDENTITY_FACT}
    rises: dict[tuple[DatabaseRef, str], list[FactChange]] = {}
    for change in sorted(changes, key=lambda change: change.seen_at):
        if change.name.startswith(FORCED_PLAN_FACT) and _rose(change, replaced):
            rises.setdefault((change.ref, change.name), []).append(change)
    return [_row(ref, "force_failed", _force_words(name, found)) for (ref, name), found in sorted(rises.items())]


def _rose(change: FactChange, replaced: set[tuple[DatabaseRef, datetime]]) -> bool:
    """A count read together with a new identity belongs to another database."""
    if (change.ref, change.seen_at) in replaced:
        return False
    return force_failures(change.after) > force_failures(change.before)


def _force_words(name: str, rises: Sequence[FactChange]) -> str:
    query_hash, _, plan_hash = name.removeprefix(FORCED_PLAN_FACT).partition(" ")
    new = sum(force_failures(change.after) - force_failures(change.before) for change in rises)
    match = _FAILURES.fullmatch(rises[-1].after)
    why = f": {match[2]}" if match and match[2] else ""
    return f"forcing plan {plan_hash} of statement {query_hash} failed {new} times more{why}"


def _row(ref: DatabaseRef, problem: str, words: str) -> Row:
    return {"database": str(ref), "problem": problem, "what": words}
