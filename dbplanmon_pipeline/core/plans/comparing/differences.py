"""What a comparison of two plans says."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

ESTIMATE_RATIO = 10.0
"""Row estimates that differ by less are no news."""

LIGHT_SHARE = 0.02
"""A change that concerns less than this share of the cost of both plans does not lead."""

_HUGE = 1e15


class DifferenceKind(StrEnum):
    """Kinds of plan changes, the most telling first."""

    ACCESS_PATH = "access_path"
    INDEX = "index"
    CONDITION = "condition"
    JOIN_TYPE = "join_type"
    JOIN_ORDER = "join_order"
    BUILD_SIDE = "build_side"
    HINT = "hint"
    FUNCTION = "function"
    ROW_GOAL = "row_goal"
    PARALLELISM = "parallelism"
    AGGREGATION = "aggregation"
    SORT = "sort"
    SPOOL = "spool"
    OPERATOR = "operator"
    WARNING = "warning"
    PARAMETER = "parameter"
    STATEMENT = "statement"
    ESTIMATE = "estimate"
    WORK = "work"
    SETTING = "setting"
    TABLE = "table"
    STATISTICS = "statistics"


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """One change.

    Attributes:
        kind: of `DifferenceKind`.
        node: what it is about (table and alias, join, setting); empty for the plan as a whole.
        before / after: short, empty where there was or is nothing.
        text: the change in one line for a person.
        weight: share of the cost that it concerns, in the plan where that is larger [0-1]; None where it is no matter
            of one place, or unknown.
        statement: place of the statement in the new plan, from 0; in the old one where only that has it.
    """

    kind: DifferenceKind
    node: str
    before: str
    after: str
    text: str
    weight: float | None = None
    statement: int = 0

    @property
    def is_light(self) -> bool:
        """True for a change where neither plan does a noteworthy part of its work."""
        return self.weight is not None and self.weight < LIGHT_SHARE


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """All changes between two plans, the most telling first, and one sentence that sums them up.

    Attributes:
        told: changes that stand in the sentence word for word.
        reason: text of the finding that stands in it, too; empty without one.
    """

    changes: tuple[PlanDifference, ...]
    summary: str
    told: tuple[PlanDifference, ...] = ()
    reason: str = ""


_RANK = {kind: place for place, kind in enumerate(DifferenceKind)}


def ordered(changes: Iterable[PlanDifference]) -> tuple[PlanDifference, ...]:
    """By kind, light ones behind what is about operators; within a kind what concerns most first, else as found.

    What happened several times in one statement is told once, with its count.
    """
    counted = Counter(changes)
    told = (replace(one, text=f"{one.text} ({times} times)") if times > 1 else one for one, times in counted.items())
    return tuple(sorted(told, key=_telling))


def _telling(change: PlanDifference) -> tuple[float, float]:
    rank = _RANK[change.kind]
    if change.is_light:
        rank = max(rank, _RANK[DifferenceKind.STATEMENT])
    return rank, -(change.weight or 0.0)


def came_and_went(
    kind: DifferenceKind, before: Iterable[str], after: Iterable[str], *, one: str = "a", node: str = ""
) -> Iterator[PlanDifference]:
    """One change for each name that is there more or less often than before."""
    old, new = Counter(before), Counter(after)
    for name, times in (new - old).items():
        yield PlanDifference(kind, node, "", name, f"new: {_counted(one, name, times)}")
    for name, times in (old - new).items():
        yield PlanDifference(kind, node, name, "", f"gone: {_counted(one, name, times)}")


def ratio_text(before: float, after: float) -> str:
    """`x12` or `x0.03`: how many times `before`, which is above 0, fits into `after`."""
    return times_text(after / before)


def times_text(ratio: float) -> str:
    """`x12`, `x0.03`, or `x1/250` where zeros would have to be counted."""
    if ratio >= 10:
        return f"x{_whole(ratio)}"
    return f"x1/{_whole(1 / ratio)}" if 0 < ratio < 0.01 else f"x{ratio:.2g}"


def _whole(ratio: float) -> str:
    """Rounded, but for what has no digits after the point, and for what is too large for a number."""
    return figure(ratio if ratio >= _HUGE else round(ratio))


def figure(value: float) -> str:
    """A figure for a person: thousands grouped, at most two decimals; `4.6e+21` where nobody counts digits any more."""
    if abs(value) >= _HUGE:
        return f"{value:.2g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value < 100 else f"{value:,.0f}"


def _counted(one: str, name: str, times: int) -> str:
    if times == 1:
        return f"{one} {name}".strip()
    return f"{times} times {name if one == 'a' else f'{one} {name}'.strip()}"
