"""Where a plan expects its work to be."""

from collections.abc import Callable, Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.plans.sources import joined_inputs
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator

DOMINANT_SHARE = 0.5
"""An operator with at least this share of the estimated cost is where the work is."""


def compare_work(engine: Engine, old: Operator, new: Operator) -> Iterator[PlanDifference]:
    """The operator that bears most of the estimated cost, where it is another one than before."""
    before, after = work_shares(engine, old), work_shares(engine, new)
    if not before or not after:
        return
    was, now = max(before, key=before.__getitem__), max(after, key=after.__getitem__)
    if was == now or after[now] < DOMINANT_SHARE:
        return
    text = f"work moved to {now}: {after[now]:.0%} of the estimated cost, before {before.get(now, 0.0):.0%}"
    yield PlanDifference(DifferenceKind.WORK, now, f"{was} {before[was]:.0%}", f"{now} {after[now]:.0%}", text)


def target_weights(engine: Engine, old: Operator, new: Operator) -> dict[str, float]:
    """Share of the estimated cost by table and alias, in the plan where it is larger; empty without costs."""
    weights: dict[str, float] = {}
    for root in (old, new):
        shares = _shares(engine, root, lambda operator: operator.target)
        for target, share in shares.items():
            weights[target] = max(share, weights.get(target, 0.0))
    return weights


def work_shares(engine: Engine, root: Operator) -> dict[str, float]:
    """Share of the estimated cost by operator name and table; empty where the plan gives no costs."""
    return _shares(engine, root, lambda one: f"{one.name} on {one.target}" if one.target else one.name)


def _shares(engine: Engine, root: Operator, named: Callable[[Operator], str]) -> dict[str, float]:
    cost: dict[str, float] = {}
    waiting = [(root, 1.0)]
    while waiting:
        operator, factor = waiting.pop()
        executions = [_executions(engine, operator, child) for child in operator.children]
        inputs = sum(
            (child.estimated_cost or 0.0) * times for child, times in zip(operator.children, executions, strict=True)
        )
        own = operator.estimated_cost or 0.0
        name = named(operator)
        cost[name] = cost.get(name, 0.0) + factor * max(0.0, own - inputs)
        cut = min(1.0, own / inputs) if inputs > 0 else 1.0
        waiting.extend(
            (child, factor * times * cut) for child, times in zip(operator.children, executions, strict=True)
        )
    total = sum(cost.values())
    return {name: value / total for name, value in cost.items()} if total > 0 else {}


def _executions(engine: Engine, operator: Operator, child: Operator) -> float:
    """How often a child runs per run of its parent; SQL Server's costs already hold the repetitions."""
    if engine != Engine.POSTGRES or operator.kind != NodeKind.NESTED_LOOPS or child.kind == NodeKind.SPOOL:
        return 1.0
    inputs = joined_inputs(operator)
    return max(1.0, inputs[0].estimated_rows or 1.0) if len(inputs) > 1 and child is inputs[-1] else 1.0
