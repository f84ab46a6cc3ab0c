"""Count how the runs of our jobs end, and queue an alert for a job that fails again and again."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from dbplanmon_pipeline.core.alerts.job_alerts import JobEnd, count_end, job_alerts, job_key
from dbplanmon_pipeline.core.ports import Alert, JobState


class JobWatchStore(Protocol):
    """What `watch_jobs` needs."""

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name; a fresh `JobState` where there is none."""
        ...

    def save_job_states(self, states: Sequence[JobState]) -> None:
        """Insert or replace."""
        ...

    def add_alerts(self, alerts: Sequence[Alert]) -> int:
        """Queue those not yet known by id; returns how many were new."""
        ...


def watch_jobs(store: JobWatchStore, ends: Sequence[JobEnd], *, tell_after: int, channels: Sequence[str]) -> int:
    """Count ends of runs, in the order of time; returns how many alerts were queued.

    Alerts are queued before the count is kept: after a crash in between the same ends are counted again, and the same
    alerts are known already. Ends that were counted change nothing.
    """
    names = sorted({job_key(end.job) for end in ends})
    states = store.job_states(names)
    before = dict(states)
    alerts: list[Alert] = []
    for end in sorted(ends, key=lambda one: (one.ended_at, one.run_id)):
        state = states[job_key(end.job)]
        states[state.name] = count_end(state, end)
        alerts += job_alerts(state, states[state.name], end, tell_after=tell_after, channels=channels)
    queued = store.add_alerts(alerts) if alerts else 0
    changed = [state for name, state in states.items() if state != before[name]]
    if changed:
        store.save_job_states(changed)
    return queued
