"""Where the rows of an operator come from."""

from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator

_NO_SOURCE = frozenset({NodeKind.BITMAP_INDEX, NodeKind.LOOKUP})
_SOURCES = frozenset({NodeKind.CTE_SCAN, NodeKind.FUNCTION_SCAN, NodeKind.CONSTANT})
_ROWS_OF_TRIGGERS = {"Inserted Scan": "inserted", "Deleted Scan": "deleted"}


def source_of(operator: Operator) -> str:
    """Alias or name of what the operator itself reads; empty for one that only works on its inputs.

    A lookup belongs to the read of the same table beside it. Triggers read the rows before and after a change under
    the name of the table; they are told apart.
    """
    if not ((operator.kind.reads_relation and operator.kind not in _NO_SOURCE) or operator.kind in _SOURCES):
        return ""
    return _ROWS_OF_TRIGGERS.get(operator.name) or operator.alias or operator.relation


def joined_inputs(operator: Operator) -> tuple[Operator, ...]:
    """Inputs without init plans and subplans, which only deliver values."""
    return tuple(child for child in operator.children if child.role not in ("InitPlan", "SubPlan")) or operator.children


def outer_and_inner(operator: Operator) -> tuple[Operator, Operator]:
    """The driving or probing input of a join, and the driven or built one; a hash join builds from `Build`."""
    inputs = joined_inputs(operator)
    return (inputs[-1], inputs[0]) if inputs[0].role == "Build" else (inputs[0], inputs[-1])
