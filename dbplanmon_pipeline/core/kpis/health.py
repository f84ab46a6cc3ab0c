"""Whether the figures of users are as they should be; pure."""

from collections.abc import Sequence

from dbplanmon_pipeline.core.health import Finding, Health, Row
from dbplanmon_pipeline.core.kpis.rules import KpiMemory, KpiResult, KpiSpec, KpiState
from dbplanmon_pipeline.core.model import Severity

KpiStatus = tuple[KpiSpec, KpiMemory, KpiResult | None]
"""A KPI, its memory, and its newest reading."""

_BAD = (KpiState.BREACH, KpiState.ERROR)


def kpis_within_limits(status: Sequence[KpiStatus]) -> Finding:
    """Healthy when every KPI is; broken when a critical one is in breach. One left alone is as it was before."""
    bad = [
        (spec, result) for spec, memory, result in status if result is not None and _standing(memory, result) in _BAD
    ]
    rows = tuple(_row(spec, result) for spec, result in bad)
    if not status:
        return Finding(Health.HEALTHY, "no KPIs in the settings")
    if not bad:
        unread = sum(result is None for _, _, result in status)
        return Finding(Health.HEALTHY, f"{len(status) - unread} of {len(status)} KPIs are read, none is out of limits")
    broken = any(
        _standing(memory, result) is KpiState.BREACH and spec.severity is Severity.CRITICAL
        for spec, memory, result in status
        if result is not None
    )
    names = ", ".join(spec.name for spec, _ in bad[:3]) + (" ..." if len(bad) > 3 else "")
    return Finding(
        Health.UNHEALTHY if broken else Health.DEGRADED,
        f"{len(bad)} of {len(status)} KPIs are out of limits or cannot be read: {names}",
        rows,
    )


def _standing(memory: KpiMemory, result: KpiResult) -> KpiState:
    return memory.trouble if result.state is KpiState.LEFT_ALONE else result.state


def _row(spec: KpiSpec, result: KpiResult) -> Row:
    return {
        "kpi": spec.name,
        "state": result.state.value,
        "value": result.value,
        "severity": spec.severity.value,
        "why": result.message,
    }
