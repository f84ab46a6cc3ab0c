"""Instances that are slow as a whole, unless a few statements of theirs are the cause."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Longs
from dbplanmon_pipeline.core.verdict.common_mode import CommonMode
from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.evidence import instance_evidence
from dbplanmon_pipeline.core.verdict.model import InstanceVerdict, Verdict
from dbplanmon_pipeline.core.verdict.moments import from_epoch_us
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.severity import severity_of

_METRIC = "elapsed_time_us"
_LAST_TICKS = 3
_SLOW_TICKS = 2


def instance_verdicts(
    comparison: Comparison, verdicts: Iterable[Verdict], names: Sequence[str], as_of_us: int, policy: DetectorPolicy
) -> tuple[InstanceVerdict, ...]:
    """Instances slow in the last tick and in at least two of the last three in which enough statements ran.

    A statement far above normal that costs more than all the rest together is taken for the cause: it slows its
    neighbours down, and its own incident says so.

    Args:
        comparison: recent rows against their normal.
        verdicts: verdicts on statements at the same moment.
        names: instance names by code.
        as_of_us: middle of the last tick.
        policy: thresholds.
    """
    mode = comparison.modes[_METRIC]
    slow = mode.supported & (mode.log_ratio > np.log(policy.common_mode_ratio))
    spoke = mode.statements >= policy.common_mode_statements
    caused = _caused_seconds(verdicts, policy)
    found = []
    for instance in np.flatnonzero(slow.any(axis=1)).tolist():
        ticks = np.flatnonzero(spoke[instance])[-_LAST_TICKS:]
        still = len(ticks) and ticks[-1] >= slow.shape[1] - 2 and slow[instance, ticks[-1]]
        if not still or np.count_nonzero(slow[instance, ticks]) < _SLOW_TICKS:
            continue
        run = _trailing_run(slow[instance], np.flatnonzero(spoke[instance]))
        verdict = _verdict(comparison, instance, names[instance], run, as_of_us, policy)
        if caused.get(verdict.instance, 0.0) < verdict.extra_seconds_per_hour:
            found.append(verdict)
    return tuple(found)


def _caused_seconds(verdicts: Iterable[Verdict], policy: DetectorPolicy) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for verdict in verdicts:
        if verdict.effect_ratio >= policy.culprit_ratio:
            instance = verdict.ref.instance
            seconds[instance] = seconds.get(instance, 0.0) + verdict.extra_seconds_per_hour
    return seconds


def _trailing_run(slow: NDArray[np.bool_], ticks: Longs) -> Longs:
    """Slow ticks of the run that leads to the last one; single ticks may drop out of it."""
    state = slow[ticks]
    gaps = np.flatnonzero(~state[1:] & ~state[:-1]) + 2
    run = ticks[int(gaps[-1]) if len(gaps) else 0 :]
    return run[slow[run]]


def _verdict(
    comparison: Comparison, instance: int, name: str, run: Longs, as_of_us: int, policy: DetectorPolicy
) -> InstanceVerdict:
    mode, rows = comparison.modes[_METRIC], comparison.rows
    recent = run[-_LAST_TICKS:]
    own = (rows.instance[rows.series] == instance) & np.isin(mode.ticks, recent)
    common = mode.log_ratio.ravel()[mode.cell[own]]
    normal = rows.executions[own] * np.exp(_normal(comparison, own))
    extra_us = float(np.nansum(normal * np.expm1(common)))
    hours = len(recent) * policy.step_us / 3.6e9
    ratio = float(np.exp(np.median(mode.log_ratio[instance, recent])))
    seconds = extra_us / 1e6 / hours
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
