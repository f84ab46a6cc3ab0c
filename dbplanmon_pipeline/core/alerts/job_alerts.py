"""Jobs that fail again and again: how ends of runs are counted, and what people are told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dbplanmon_pipeline.core.alerts.incident_alerts import LINE_LIMIT, SUBJECT_LIMIT, alert_id
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.plain_words import duration_words, moment_words, one_line
from dbplanmon_pipeline.core.ports import Alert, JobState

_SEVERITY = Severity.HIGH


@dataclass(frozen=True, slots=True)
class JobEnd:
    """A run of a job ended at a moment (aware UTC); `reason` of a failure is one line without secrets, may be empty."""

    job: str
    run_id: str
    ended_at: datetime
    succeeded: bool
    reason: str = ""


def job_key(job: str) -> str:
    """Name of the memory of a job, and what stands in place of the number of an incident."""
    return f"job:{job}"


def count_end(state: JobState, end: JobEnd) -> JobState:
    """Memory after a run ended; an end that is not newer than those counted changes nothing."""
    if end.ended_at <= _last_end(state, end.ended_at):
        return state
    if end.succeeded:
        return replace(state, consecutive_failures=0, last_success_at=end.ended_at, detail="")
    return replace(
        state,
        consecutive_failures=state.consecutive_failures + 1,
        last_failure_at=end.ended_at,
        detail=one_line(end.reason, LINE_LIMIT),
    )


def job_alerts(
    before: JobState, after: JobState, end: JobEnd, *, tell_after: int, channels: Sequence[str]
) -> list[Alert]:
    """What one end is worth telling, one message per channel.

    From `tell_after` failures in a row on the same message is given again for each further one: its id tells that it
    was queued before, so that one stretch of failures is one message, whatever broke in between.
    """
    if after == before:
        return []
    if after.consecutive_failures >= tell_after:
        return [_opened(after, end, channel) for channel in channels]
    if end.succeeded and before.consecutive_failures >= tell_after:
        return [_resolved(before, end, channel) for channel in channels]
    return []


def _last_end(state: JobState, none: datetime) -> datetime:
    ends: Iterable[datetime] = (end for end in (state.last_failure_at, state.last_success_at) if end)
    return max(ends, default=none.replace(year=1970))


def _opened(state: JobState, end: JobEnd, channel: str) -> Alert:
    since = state.last_success_at.isoformat() if state.last_success_at else "ever"
    headline = f"{end.job} failed {state.consecutive_failures} times in a row"
    rows = [
        ("Job", end.job),
        ("Last good run", moment_words(state.last_success_at) if state.last_success_at else "none"),
        ("Last failure", moment_words(end.ended_at)),
        ("Run", end.run_id),
        ("Reason", end.reason or "see the run in Dagster"),
    ]
    return _alert(
        end, IncidentEvent.OPENED, since, channel, _SEVERITY.value, headline, rows, state.consecutive_failures
    )


def _resolved(before: JobState, end: JobEnd, channel: str) -> Alert:
    began = before.last_success_at or before.last_failure_at or end.ended_at
    lasted = duration_words((end.ended_at - began).total_seconds())
    headline = f"{end.job} runs again after {before.consecutive_failures} failures in a row"
    rows = [
        ("Job", end.job),
        ("Good run", moment_words(end.ended_at)),
        ("Run", end.run_id),
        ("Without one for", lasted),
    ]
    return _alert(end, IncidentEvent.AUTO_RESOLVED, end.ended_at.isoformat(), channel, "ok", headline, rows, 0)


def _alert(
    end: JobEnd,
    event: IncidentEvent,
    moment: str,
    channel: str,
    tag: str,
    headline: str,
    rows: Sequence[tuple[str, str]],
    failures: int,
) -> Alert:
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:<{width}}{one_line(value, LINE_LIMIT)}" for name, value in rows]
    return Alert(
        alert_id=alert_id(job_key(end.job), event, moment, channel),
        incident_id=job_key(end.job),
        event=event.value,
        channel=channel,
        severity=_SEVERITY.value,
        created_at=end.ended_at,
        subject=one_line(f"[{tag}] dbplanmon: {headline}", SUBJECT_LIMIT),
        body=f"{headline}.\n\n" + "\n".join(lines) + "\n",
        facts={
            "scope": "job",
            "job": one_line(end.job),
            "instance": "",
            "database": "",
            "run_id": end.run_id,
            "failures": failures,
            "reason": one_line(end.reason, LINE_LIMIT),
            "ended_at": end.ended_at.isoformat(),
        },
    )
