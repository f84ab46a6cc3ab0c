"""From effect and cost to one of four severities."""

from dbplanmon_pipeline.core.model import Severity

_LEVELS = ((6.0, Severity.CRITICAL), (3.0, Severity.HIGH), (2.0, Severity.MEDIUM))
"""Cost over normal from which each holds: +500 %, +200 %, +100 %; all below is low."""


def severity_of(effect_ratio: float, extra_seconds_per_hour: float, material_seconds_per_hour: float) -> Severity:
    """Severity by effect, one step lower where the cost per hour is immaterial.

    Args:
        effect_ratio: cost per execution over normal.
        extra_seconds_per_hour: what that costs.
        material_seconds_per_hour: below this cost the severity is lowered.
    """
    severity = next((level for ratio, level in _LEVELS if effect_ratio >= ratio), Severity.LOW)
    if extra_seconds_per_hour >= material_seconds_per_hour:
        return severity
    return list(Severity)[max(0, severity.rank - 1)]
