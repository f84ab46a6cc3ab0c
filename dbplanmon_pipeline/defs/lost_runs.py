"""The sensor that ends runs whose process is gone.

Dagster's run monitoring cannot see the processes of its default launcher. Its code server ends the run of a child that
died, but not after it was restarted itself, nor ever again once the storage of Dagster was away at such a moment: its
thread for that dies too. A run that stays "started" keeps the next one of its job from starting for ever.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from dbplanmon_pipeline.defs.naming import JOB_TAG, Names

LOOK_EVERY_SECONDS = 30
PROCESSES = Path("/proc")
_DEFAULT_LAUNCHER_TAG = ".dagster/grpc_info"
"""Only its runs are processes beside the one that evaluates this sensor."""

_PID = re.compile(r"^Started process for run \(pid: (\d+)\)")
_ZOMBIE = "Z"


def lost_runs_sensor(names: Names, jobs: Iterable[str]) -> dg.SensorDefinition:
    """Looks at the started runs of these jobs."""
    watched = {JOB_TAG: sorted(jobs)}

    @dg.sensor(
        name=names.name("lost_runs_sensor"),
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="End runs whose process is gone, so that they do not keep the next one from starting.",
    )
    def lost_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not PROCESSES.is_dir():
            return dg.SkipReason("this system does not show its processes")
        started = dg.RunsFilter(tags=watched, statuses=[dg.DagsterRunStatus.STARTED])
        lost = [run for run in context.instance.get_runs(started) if _end_if_lost(context.instance, run)]
        return dg.SkipReason(
            f"ended {len(lost)} runs whose process was gone" if lost else "no run has lost its process"
        )

    return lost_runs_sensor


def _end_if_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if _DEFAULT_LAUNCHER_TAG not in run.tags:
        return False
    pid = _process_of(instance, run.run_id)
    if pid is None or is_alive(pid):
        return False
    # It may have come to its end since the question.
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.status is not dg.DagsterRunStatus.STARTED:
        return False
    instance.report_run_failed(now, f"its process {pid} is gone: killed, out of memory, or the host was restarted")
    return True


def _process_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        if told := _PID.match(entry.message or entry.get_dagster_event().message or ""):
            return int(told[1])
    return None


def is_alive(pid: int) -> bool:
    """True where the process is there and was started for a run; its number may have gone to another one since."""
    folder = PROCESSES / str(pid)
    try:
        state = (folder / "stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[0]
        words = (folder / "cmdline").read_bytes()
    except OSError:
        return False
    return state != _ZOMBIE and b"multiprocessing" in words
