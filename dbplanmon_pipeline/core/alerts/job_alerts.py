"""Jobs that fail again and again: how ends of runs are counted, and what people are told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dbplanmon_pipeline.core.alerts.incident_alerts import LINE_LIMIT
from dbplanmon_pipeline.core.alerts.monitor_alerts import monitor_alert
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.plain_words import duration_words, moment_words, one_line
from dbplanmon_pipeline.core.ports import Alert, JobState


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
    facts = _facts(end, state.consecutive_failures)
    return monitor_alert(job_key(end.job), IncidentEvent.OPENED, since, channel, headline, rows, end.ended_at, facts)


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
    moment = end.ended_at.isoformat()
    return monitor_alert(
        job_key(end.job), IncidentEvent.AUTO_RESOLVED, moment, channel, headline, rows, end.ended_at, _facts(end, 0)
    )


def _facts(end: JobEnd, failures: int) -> dict[str, str | int]:
    return {
        "scope": "job",
        "job": one_line(end.job),
        "run_id": end.run_id,
        "failures": failures,
        "reason": one_line(end.reason, LINE_LIMIT),
        "ended_at": end.ended_at.isoformat(),
    }
