"""What people are told of a KPI: its name, its values and its limits, never the text of its statement."""

from collections.abc import Sequence
from datetime import datetime

from dbplanmon_pipeline.core.alerts.incident_alerts import LINE_LIMIT, SUBJECT_LIMIT, alert_id
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.kpis.rules import (
    KpiChange,
    KpiLimits,
    KpiMemory,
    KpiResult,
    KpiSpec,
    KpiState,
    number_words,
)
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.plain_words import duration_words, moment_words, one_line
from dbplanmon_pipeline.core.ports.alerts import Alert

LAST_VALUES = 5

_RISING = (Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)


def kpi_key(name: str) -> str:
    """What stands in place of the number of an incident."""
    return f"kpi:{name}"


def kpi_alert(spec: KpiSpec, change: KpiChange, result: KpiResult, last: Sequence[KpiResult], *, channel: str) -> Alert:
    """The message about one step of a KPI, for one channel.

    Args:
        spec: the KPI.
        change: the step.
        result: the reading that led to it.
        last: earlier readings, the newest first.
        channel: name of the channel.
    """
    severity = kpi_severity(spec, change)
    key, at = kpi_key(spec.name), result.started_at
    return Alert(
        # One step of one trouble is one message, whichever reading tells of it.
        alert_id=alert_id(f"{key}\x1f{change.trouble.value}", change.event, change.began_at.isoformat(), channel),
        incident_id=key,
        event=change.event.value,
        channel=channel,
        severity=severity.value,
        created_at=at,
        subject=one_line(f"[{_tag(change, severity)}] {spec.ref}: {_headline(spec, change, result)}", SUBJECT_LIMIT),
        body=_body(spec, change, result, last, severity),
        facts=_facts(spec, change, result, last),
    )


def unwatched_alert(memory: KpiMemory, now: datetime, *, channel: str) -> Alert:
    """The end of a trouble whose KPI is no longer read, for one channel.

    Args:
        memory: of the KPI, in trouble.
        now: aware UTC.
        channel: name of the channel.
    """
    began = memory.began_at or now
    key, event = kpi_key(memory.name), IncidentEvent.AUTO_RESOLVED
    lasted = duration_words((now - began).total_seconds())
    headline = f"KPI {memory.name} is no longer watched"
    body = (
        f"{headline}. Trouble ({memory.trouble.value}) had lasted for {lasted}, since {moment_words(began)}; "
        f"whether it is over is not known.\n\nMore: dbplanmon kpis history {_shell_word(memory.name)}\n"
    )
    return Alert(
        alert_id=alert_id(f"{key}\x1f{memory.trouble.value}", event, began.isoformat(), channel),
        incident_id=key,
        event=event.value,
        channel=channel,
        severity=Severity.MEDIUM.value,
        created_at=now,
        subject=one_line(f"[ok] {headline}", SUBJECT_LIMIT),
        body=body,
        facts={"scope": "kpi", "kpi": one_line(memory.name), "instance": "", "database": "", "state": "unwatched"},
    )


def kpi_severity(spec: KpiSpec, change: KpiChange) -> Severity:
    """As the settings say, one step up when it lasts; a KPI that cannot be read is never worse than medium."""
    own = spec.severity
    if change.trouble is KpiState.ERROR:
        return min(own, Severity.MEDIUM, key=lambda severity: severity.rank)
    if change.event is not IncidentEvent.ESCALATED:
        return own
    return _RISING[min(_RISING.index(own) + 1, len(_RISING) - 1)]


def _tag(change: KpiChange, severity: Severity) -> str:
    return "ok" if change.event is IncidentEvent.AUTO_RESOLVED else severity.value


def _headline(spec: KpiSpec, change: KpiChange, result: KpiResult) -> str:
    if change.event is IncidentEvent.AUTO_RESOLVED:
        what = "can be read" if change.trouble is KpiState.ERROR else "is within its limits"
        return f"KPI {spec.name} {what} again{_value_words(result)} after {_lasted(change, result)}"
    again = "Escalated: " if change.event is IncidentEvent.ESCALATED else ""
    lasting = f" for {_lasted(change, result)}" if again else ""
    if change.trouble is KpiState.ERROR:
        return f"{again}KPI {spec.name} cannot be read{lasting}: {result.message}"
    value = number_words(result.value) if result.value is not None else "unknown"
    return f"{again}KPI {spec.name} is {value}{', out of its limits' + lasting if lasting else ''}, {result.message}"


def _value_words(result: KpiResult) -> str:
    return f" ({number_words(result.value)})" if result.value is not None else ""


def _lasted(change: KpiChange, result: KpiResult) -> str:
    return duration_words((result.started_at - change.began_at).total_seconds())


def _body(spec: KpiSpec, change: KpiChange, result: KpiResult, last: Sequence[KpiResult], severity: Severity) -> str:
    rows = [
        ("Where", str(spec.ref)),
        ("KPI", spec.name),
        ("Limits", limit_words(spec.limits)),
        ("Severity", severity.value),
        ("Since", _since(change, result)),
    ]
    readings = [f"  - {moment_words(one.started_at)}: {_reading_words(one)}" for one in (result, *last)]
    facts = [f"{name:<10}{one_line(value, LINE_LIMIT)}" for name, value in rows]
    head = one_line(_headline(spec, change, result), LINE_LIMIT)
    more = f"More: dbplanmon kpis history {_shell_word(spec.name)}"
    sections = [[f"{head.rstrip('.')}."], facts, ["Last readings:", *readings[:LAST_VALUES]], [more]]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _since(change: KpiChange, result: KpiResult) -> str:
    lasted = f" ({_lasted(change, result)})" if result.started_at > change.began_at else ""
    return f"{moment_words(change.began_at)}{lasted}"


def _shell_word(name: str) -> str:
    plain = one_line(name)
    return plain if plain.replace("_", "").replace("-", "").isalnum() else "'" + plain.replace("'", "'\\''") + "'"


def _reading_words(result: KpiResult) -> str:
    value = number_words(result.value) if result.value is not None else ""
    state = result.state.value if result.state is not KpiState.OK else ""
    said = result.message if result.state is KpiState.ERROR or result.value is None else ""
    return one_line(" ".join(part for part in (value, state, said) if part) or "ok", LINE_LIMIT)


def limit_words(limits: KpiLimits) -> str:
    """What a value is compared with, on one line."""
    parts = []
    if limits.expected is not None:
        parts.append(f"exactly {number_words(limits.expected)}")
    if limits.minimum is not None:
        parts.append(f"at least {number_words(limits.minimum)}")
    if limits.maximum is not None:
        parts.append(f"at most {number_words(limits.maximum)}")
    if limits.deviation_percent is not None:
        parts.append(f"within {number_words(limits.deviation_percent)} % of normal at this hour of the week")
    return ", ".join(parts)


def _facts(spec: KpiSpec, change: KpiChange, result: KpiResult, last: Sequence[KpiResult]) -> dict[str, object]:
    return {
        "scope": "kpi",
        "kpi": one_line(spec.name),
        "instance": one_line(spec.ref.instance),
        "database": one_line(spec.ref.database),
        "state": result.state.value,
        "trouble": change.trouble.value,
        "value": result.value,
        "normal": result.normal,
        "expected": spec.limits.expected,
        "minimum": spec.limits.minimum,
        "maximum": spec.limits.maximum,
        "deviation_percent": spec.limits.deviation_percent,
        "began_at": change.began_at.isoformat(),
        "message": one_line(result.message, LINE_LIMIT),
        "values": [one.value for one in (result, *last)[:LAST_VALUES]],
    }
