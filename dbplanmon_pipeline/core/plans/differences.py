"""What a comparison of two plans says."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class DifferenceKind(StrEnum):
    """Kinds of plan changes, the most telling first."""

    ACCESS_PATH = "access_path"
    INDEX = "index"
    CONDITION = "condition"
    JOIN_TYPE = "join_type"
    JOIN_ORDER = "join_order"
    BUILD_SIDE = "build_side"
    PARALLELISM = "parallelism"
    AGGREGATION = "aggregation"
    SORT = "sort"
    SPOOL = "spool"
    OPERATOR = "operator"
    WARNING = "warning"
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
    """

    kind: DifferenceKind
    node: str
    before: str
    after: str
    text: str


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """All changes between two plans, the most telling first, and one sentence that sums them up."""

    changes: tuple[PlanDifference, ...]
    summary: str


def ordered(changes: Iterable[PlanDifference]) -> tuple[PlanDifference, ...]:
    """By kind; within a kind as found."""
    rank = {kind: place for place, kind in enumerate(DifferenceKind)}
    return tuple(sorted(changes, key=lambda change: rank[change.kind]))


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
    ratio = after / before
    return f"x{ratio:,.0f}" if ratio >= 10 else f"x{ratio:.2g}"


def figure(value: float) -> str:
    """A figure for a person: thousands grouped, at most two decimals."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value < 100 else f"{value:,.0f}"


def _counted(one: str, name: str, times: int) -> str:
    return f"{one} {name}".strip() if times == 1 else f"{times} times {name}"
