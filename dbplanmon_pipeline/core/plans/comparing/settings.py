"""What differs in how PostgreSQL was told to plan: settings, compilation to machine code, CTEs kept apart."""

from collections.abc import Iterator, Mapping
from typing import Any

from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.plans.findings.model import counted
from dbplanmon_pipeline.core.plans.findings.view import number_of
from dbplanmon_pipeline.core.plans.tree import PlanStatement

_CTE = "CTE "
_SWITCH = "enable_"
_OFF = "off"
_NOT_PLANNED_WITH = frozenset({"effective_io_concurrency", "maintenance_io_concurrency", "temp_buffers"})
"""EXPLAIN tells them, too, but the choice of a plan does not rest on them."""


def compare_settings(before: PlanStatement, after: PlanStatement, *, alike: bool) -> Iterator[PlanDifference]:
    """Differences of two PostgreSQL plans of one statement that no operator shows; nothing for other engines.

    Args:
        before: the former plan.
        after: the present one.
        alike: whether they do the same; else compilation to machine code follows from what they do, and explains none.
    """
    compiled = None if alike else 0.0
    yield from _ctes(before, after)
    yield from _settings(before, after, compiled)
    yield from _machine_code(before, after, compiled)


def _ctes(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """A CTE that is computed on its own is a fence: no condition from outside gets into it."""
    was, now = _names_of_ctes(before), _names_of_ctes(after)
    for name in dict.fromkeys([*now, *was]):
        if name not in was:
            text = f"CTE {name}: computed on its own and whole, before it was part of the statement"
            yield PlanDifference(DifferenceKind.HINT, f"{_CTE}{name}", "", "computed on its own", text)
        elif name not in now:
            text = f"CTE {name}: part of the statement, before it was computed on its own"
            yield PlanDifference(DifferenceKind.HINT, f"{_CTE}{name}", "computed on its own", "", text)


def _names_of_ctes(statement: PlanStatement) -> list[str]:
    told = (str(part.attributes.get("Subplan Name", "")) for part in statement.operators())
    return [name.removeprefix(_CTE) for name in told if name.startswith(_CTE)]


def _settings(before: PlanStatement, after: PlanStatement, compiled: float | None) -> Iterator[PlanDifference]:
    """Settings other than the server's defaults, as `EXPLAIN (SETTINGS)` tells them; ways switched off first.

    Where nobody asked for those of one plan, a way switched off in the other one is told all the same.
    """
    was, now = _told(before), _told(after)
    # Those with a point are of extensions and programs, and hold what they please.
    told = {name for name in (*(was or ()), *(now or ())) if "." not in name} - _NOT_PLANNED_WITH
    for name in sorted(told, key=lambda name: (not name.startswith(_SWITCH), name)):
        left, right = _value(was, name), _value(now, name)
        known = was is not None and now is not None
        if left != right and (known or (name.startswith(_SWITCH) and _OFF in (left, right))):
            text = f"setting {name}: {left} became {right}"
            compiles = name.startswith("jit")
            kind = DifferenceKind.OPERATOR if compiles else DifferenceKind.SETTING
            yield PlanDifference(kind, name, left, right, text, weight=compiled if compiles else None)


def _value(settings: Mapping[str, Any] | None, name: str) -> str:
    return "not told" if settings is None else str(settings.get(name) or "the default")


def _told(statement: PlanStatement) -> Mapping[str, Any] | None:
    settings = statement.attributes.get("Settings")
    return settings if isinstance(settings, dict) else None


def _machine_code(before: PlanStatement, after: PlanStatement, compiled: float | None) -> Iterator[PlanDifference]:
    was, now = _compiled(before), _compiled(after)
    if bool(was) != bool(now):
        text = f"JIT: {now} compiled to machine code" if now else "JIT: nothing is compiled to machine code any more"
        yield PlanDifference(DifferenceKind.OPERATOR, "JIT", was, now, text, weight=compiled)


def _compiled(statement: PlanStatement) -> str:
    told = statement.attributes.get("JIT")
    functions = number_of(told.get("Functions")) if isinstance(told, dict) else None
    return counted(functions, "function") if functions else ""
