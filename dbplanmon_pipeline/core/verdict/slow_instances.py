"""Instances that are slow as a whole, unless a few statements of theirs are the cause."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Longs
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.verdict.common_mode import CommonMode
from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.evidence import instance_evidence
from dbplanmon_pipeline.core.verdict.model import InstanceVerdict
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.severity import severity_of

_METRIC = "elapsed_time_us"
_LAST_TICKS = 3
_SLOW_TICKS = 2


def instance_verdicts(
    comparison: Comparison, names: Sequence[str], as_of_us: int, policy: DetectorPolicy
) -> tuple[InstanceVerdict, ...]:
    """Instances slow in the last tick and in at least two of the last three in which enough statements ran.

    Statements far above normal that cost more than the common rise of all the rest are taken for its cause: they
    slow their neighbours down, and incidents of their own say so.

    Args:
        comparison: recent rows against their normal.
        names: instance names by code.
        as_of_us: middle of the last tick.
        policy: thresholds.
    """
    mode = comparison.modes[_METRIC]
    slow = mode.supported & (mode.log_ratio > np.log(policy.common_mode_ratio))
    spoke = mode.statements >= policy.common_mode_statements
    found = []
    for instance in np.flatnonzero(slow.any(axis=1)).tolist():
        ticks = np.flatnonzero(spoke[instance])[-_LAST_TICKS:]
        still = len(ticks) and ticks[-1] >= slow.shape[1] - 2 and slow[instance, ticks[-1]]
        if not still or np.count_nonzero(slow[instance, ticks]) < _SLOW_TICKS:
            continue
        run = _trailing_run(slow[instance], np.flatnonzero(spoke[instance]))
        own = (comparison.rows.instance[comparison.rows.series] == instance) & np.isin(mode.ticks, run[-_LAST_TICKS:])
        extra_us = _common_extra_us(comparison, own)
        if _culprits_extra_us(comparison, own, policy) < extra_us:
            found.append(_verdict(comparison, instance, names[instance], run, extra_us, as_of_us, policy))
    return tuple(found)


def _trailing_run(slow: NDArray[np.bool_], ticks: Longs) -> Longs:
    """Slow ticks of the run that leads to the last one; single ticks may drop out of it."""
    state = slow[ticks]
    gaps = np.flatnonzero(~state[1:] & ~state[:-1]) + 2
    run = ticks[int(gaps[-1]) if len(gaps) else 0 :]
    return run[slow[run]]


def _common_extra_us(comparison: Comparison, own: NDArray[np.bool_]) -> float:
    """What the common rise alone costs over the chosen rows [microseconds]."""
    mode = comparison.modes[_METRIC]
    normal_us = comparison.rows.executions[own] * np.exp(_normal(comparison, own))
    return float(np.nansum(normal_us * np.expm1(mode.log_ratio.ravel()[mode.cell[own]])))


def _culprits_extra_us(comparison: Comparison, own: NDArray[np.bool_], policy: DetectorPolicy) -> float:
    """What statements far above normal cost beyond the common rise over the chosen rows [microseconds]."""
    costs = comparison.costs[_METRIC]
    with np.errstate(invalid="ignore"):
        far = own & (costs.residual > np.log(policy.culprit_ratio))
    return float((costs.observed_us[far] - costs.expected_us[far]).sum())


def _verdict(
    comparison: Comparison,
    instance: int,
    name: str,
    run: Longs,
    extra_us: float,
    as_of_us: int,
    policy: DetectorPolicy,
) -> InstanceVerdict:
    mode = comparison.modes[_METRIC]
    recent = run[-_LAST_TICKS:]
    ratio = float(np.exp(np.median(mode.log_ratio[instance, recent])))
    seconds = extra_us / 1e6 / (len(recent) * policy.step_us / 3.6e9)
    spoke = int(mode.statements[instance, run[-1]])
    rose = _risen(comparison, mode, instance, int(run[-1]), policy)
    back = mode.log_ratio.shape[1] - 1 - int(run[0])
    began_at = from_epoch_us(as_of_us - (back + 1) * policy.step_us)
    return InstanceVerdict(
        instance=name,
        severity=severity_of(ratio, seconds, policy.material_seconds_per_hour),
        effect_ratio=ratio,
        extra_seconds_per_hour=seconds,
        statements=rose,
        began_at=began_at,
        evidence=instance_evidence(ratio, rose, spoke, began_at, seconds),
    )


def _risen(comparison: Comparison, mode: CommonMode, instance: int, tick: int, policy: DetectorPolicy) -> int:
    rows = comparison.rows
    own = (rows.instance[rows.series] == instance) & (mode.ticks == tick)
    own &= rows.executions >= policy.common_mode_executions
    deviation = rows.log_cost[_METRIC][own] - _normal(comparison, own)
    return int(np.count_nonzero(deviation > mode.log_ratio[instance, tick] / 2))


def _normal(comparison: Comparison, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, learnt = comparison.rows, comparison.learnt.metrics[_METRIC]
    normal: NDArray[np.float64] = (learnt.median[rows.series] + learnt.offsets[rows.series, rows.hour])[chosen]
    return normal
