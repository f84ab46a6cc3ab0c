"""What a comparison says of each operator, as signs for the trees of both plans."""

from collections.abc import Sequence

from dbplanmon_pipeline.core.plans.comparing.matching import NodeChange, StatementMatch
from dbplanmon_pipeline.core.plans.render import Place, Sign

LEGEND = "~ changed   - only before   + only now"

Signs = dict[Place, Sign]


def signs_of(matches: Sequence[StatementMatch]) -> tuple[Signs, Signs]:
    """Signs for the operators of the old plan, and of the new one; the changes stand in words in the new one."""
    before: Signs = {}
    after: Signs = {}
    for statement in matches:
        for node in statement.nodes:
            if statement.old is not None and node.old is not None and node.change is not NodeChange.SAME:
                before[statement.old, node.old] = Sign("-" if node.new is None else "~")
            if statement.new is not None and node.new is not None and node.change is not NodeChange.SAME:
                after[statement.new, node.new] = Sign("+") if node.old is None else Sign("~", node.what)
    return before, after


def changed_statements(matches: Sequence[StatementMatch]) -> tuple[list[int], list[int]]:
    """Places of the statements with at least one changed operator, in the old plan and in the new one."""
    changed = [one for one in matches if any(node.change is not NodeChange.SAME for node in one.nodes)]
    old = sorted(one.old for one in changed if one.old is not None)
    return old, sorted(one.new for one in changed if one.new is not None)
