"""Whether Dagster's daemon lives, from its own records; Dagster is imported in a thread, when first asked."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dbplanmon_pipeline.core.health import Finding, Health, Row
from dbplanmon_pipeline.core.ports import Clock

if TYPE_CHECKING:
    import dagster as dg

SCHEDULE = "collection_schedule"
LATE_TICKS = 3
QUEUE_LIMIT = 50
"""With one run per job at a time nothing of ours waits long: more is a queue that does not move."""


class DaemonWatch:
    """Looks at Dagster's instance.

    Args:
        home: its DAGSTER_HOME; None where it is not known.
        cadence: time between two ticks of the collection schedule.
        clock: the present moment, aware UTC.
    """

    def __init__(self, home: Path | None, cadence: timedelta, clock: Clock) -> None:
        self._home = home
        self._late = LATE_TICKS * cadence
        self._clock = clock
        self._instance: dg.DagsterInstance | None = None
        self._trouble = ""
        self._loader: threading.Thread | None = None

    def finding(self) -> Finding:
        """Heartbeats, the newest tick of the collection schedule, and the queue of runs."""
        if self._home is None:
            return Finding(Health.HEALTHY, "not known: DAGSTER_HOME is not set here")
        if self._instance is None:
            if self._loader is None or not self._loader.is_alive():
                self._loader = threading.Thread(target=self._load, name="load dagster", daemon=True)
                self._loader.start()
            if self._trouble:
                return Finding(Health.DEGRADED, self._trouble)
            return Finding(Health.HEALTHY, "not known yet: Dagster is being loaded")
        return self._judge(self._instance)

    def _load(self) -> None:
        # 2.7 s and 150 MB, so only where somebody asks.
        try:
            import dagster as dg  # noqa: PLC0415

            self._instance = dg.DagsterInstance.from_config(str(self._home))
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, the status page goes on
            lines = str(error).strip().splitlines() or [type(error).__name__]
            self._trouble = f"Dagster in {self._home} cannot be read: {lines[0]}"

    def _judge(self, instance: "dg.DagsterInstance") -> Finding:
        now = self._clock()
        daemons = [status for status in instance.get_daemon_statuses().values() if status.required]
        rows: tuple[Row, ...] = tuple(
            {
                "daemon": status.daemon_type,
                "state": "alive" if status.healthy else "silent",
                "last_heartbeat": _moment(status.last_heartbeat.timestamp if status.last_heartbeat else None),
            }
            for status in daemons
        )
        silent = [status.daemon_type.lower() for status in daemons if not status.healthy]
        if silent:
            return Finding(Health.UNHEALTHY, f"no heartbeat of {', '.join(silent)}: is dagster-daemon running?", rows)
        late = self._late_tick(instance, now)
        queued = _queued_runs(instance)
        if late:
            return Finding(Health.DEGRADED, late, rows)
        if queued > QUEUE_LIMIT:
            return Finding(Health.DEGRADED, f"{queued} runs are queued", rows)
        return Finding(Health.HEALTHY, f"{len(daemons)} daemons alive, {queued} runs queued", rows)

    def _late_tick(self, instance: "dg.DagsterInstance", now: datetime) -> str:
        """What is wrong with the newest tick; empty where nothing is, or the schedule was turned off."""
        states = [s for s in instance.all_instigator_state() if s.instigator_name.endswith(SCHEDULE) and s.is_running]
        if not states:
            return f"{SCHEDULE} does not run"
        ticks = [t for s in states for t in instance.get_ticks(s.instigator_origin_id, s.selector_id, limit=1)]
        if not ticks:
            return ""
        newest = max(ticks, key=lambda tick: tick.timestamp)
        age = now - datetime.fromtimestamp(newest.timestamp, UTC)
        if age > self._late:
            return f"the newest tick of {SCHEDULE} is {_minutes(age)} old"
        return f"the newest tick of {SCHEDULE} failed" if newest.is_failure else ""


def _queued_runs(instance: "dg.DagsterInstance") -> int:
    import dagster as dg  # noqa: PLC0415 - loaded by now

    return instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))


def _moment(timestamp: float | None) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S}" if timestamp else "never"


def _minutes(age: timedelta) -> str:
    return f"{age.total_seconds() / 60:.0f} minutes"
