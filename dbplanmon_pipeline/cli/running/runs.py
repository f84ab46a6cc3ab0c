"""Runs in progress: ended while the code server that holds them still lives."""

import io
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path

import dagster as dg

from dbplanmon_pipeline.errors import DbPlanMonError

POLL_SECONDS = 0.1
LAST_WORD_SECONDS = 0.5
"""How long requests that are under way when the time is over may still take back what was marked."""

IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class BrokenHome(DbPlanMonError):
    """The Dagster instance cannot be opened."""


def migrate(home: Path) -> None:
    """Create or bring up to date the storages of a Dagster home, before several processes open it at once.

    Daemon and webserver that start together on an empty home may both create its tables, and then neither works.

    Raises:
        BrokenHome: the instance cannot be opened.
    """
    try:
        # It prints its progress, where our own output may be JSON.
        with redirect_stdout(io.StringIO()), dg.DagsterInstance.from_config(str(home)) as instance:
            instance.upgrade()
    # A wrong dagster.yaml, a missing driver, an unreachable server: Dagster has no common error for them.
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BrokenHome(f"the Dagster instance in {home} cannot be opened: {reason}") from error


def terminate_runs(
    home: Path,
    deadline: float,
    nothing_new: threading.Event | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Ask every run in progress to stop and wait until `deadline` [monotonic seconds]; returns how many there were.

    Opening the storage takes a while on a busy machine; only then `nothing_new` is waited for, if given. A run that
    holds on longer is marked as canceled: its process is about to be ended, and a run that stays "started" for ever
    would keep the next one from starting.
    """
    with dg.DagsterInstance.from_config(str(home)) as instance:
        if nothing_new is not None:
            nothing_new.wait(max(0.0, deadline - monotonic()))
        asked = _in_progress(instance)
        over = threading.Event()
        # A code server that hangs is waited for a minute by each question; nobody waits for these threads long.
        asking = [threading.Thread(target=_terminate, args=(instance, run_id, over), daemon=True) for run_id in asked]
        for thread in asking:
            thread.start()
        while _in_progress(instance) and monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        over.set()
        _mark_as_canceled(instance)
        last_word = time.monotonic() + LAST_WORD_SECONDS
        for thread in asking:
            thread.join(max(0.0, last_word - time.monotonic()))
        _mark_as_canceled(instance)
        return len(asked)


def _mark_as_canceled(instance: dg.DagsterInstance) -> None:
    for run_id in _in_progress(instance):
        if run := instance.get_run_by_id(run_id):
            instance.report_run_canceled(run, message="ended with dbplanmon up")


def _in_progress(instance: dg.DagsterInstance) -> list[str]:
    return [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS))]


def _terminate(instance: dg.DagsterInstance, run_id: str, over: threading.Event) -> None:
    if over.is_set():
        return
    # The code server may be gone or hang; the run is marked and its process group ended all the same.
    with suppress(Exception):
        instance.run_launcher.terminate(run_id)
