"""Whether the figures of users are as they should be; pure."""

from collections.abc import Sequence

from dbplanmon_pipeline.core.health import Finding, Health, Row
from dbplanmon_pipeline.core.kpis import KpiMemory, KpiResult, KpiSpec, KpiState
from dbplanmon_pipeline.core.model import Severity

KpiStatus = tuple[KpiSpec, KpiMemory, KpiResult | None]
"""A KPI, its memory, and its newest reading."""

_BAD = (KpiState.BREACH, KpiState.ERROR)


def kpis_within_limits(status: Sequence[KpiStatus]) -> Finding:
    """Healthy when every KPI is; broken when a critical one is in breach."""
    bad = [(spec, result) for spec, _, result in status if result is not None and result.state in _BAD]
    rows = tuple(_row(spec, result) for spec, result in bad)
    if not status:
        return Finding(Health.HEALTHY, "no KPIs in the settings")
    if not bad:
        unread = sum(result is None for _, _, result in status)
        return Finding(Health.HEALTHY, f"{len(status) - unread} of {len(status)} KPIs are read, none is out of limits")
    broken = any(result.state is KpiState.BREACH and spec.severity is Severity.CRITICAL for spec, result in bad)
    names = ", ".join(spec.name for spec, _ in bad[:3]) + (" ..." if len(bad) > 3 else "")
    return Finding(
        Health.UNHEALTHY if broken else Health.DEGRADED,
        f"{len(bad)} of {len(status)} KPIs are out of limits or cannot be read: {names}",
        rows,
    )


def _row(spec: KpiSpec, result: KpiResult) -> Row:
    return {
        "kpi": spec.name,
        "state": result.state.value,
        "value": result.value,
        "severity": spec.severity.value,
        "why": result.message,
    }
