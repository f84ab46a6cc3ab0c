"""One soak run from the first reading to the last."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dbplanmon_pipeline.cli.running.ports import answers, free_port
from dbplanmon_pipeline.demo.postgres_server import PostgresNotStarted
from dbplanmon_pipeline_tests.soak.logwatch import LogWatch
from dbplanmon_pipeline_tests.soak.measure import (
    RunEnd,
    Sample,
    count_everything,
    memory_by_role,
    runs_of,
    ticks_of,
)
from dbplanmon_pipeline_tests.soak.plan import OURS, Injection, Plan, Trouble, quiet_plan, with_troubles
from dbplanmon_pipeline_tests.soak.stage import Stage, stage
from dbplanmon_pipeline_tests.soak.truth import Comparison, compare

LOOK_SECONDS = 0.5
START_SECONDS = 300
STOP_SECONDS = 60


@dataclass(slots=True)
class Record:
    """What a run left to judge.

    Attributes:
        plan: what went wrong when.
        began: seconds after the start of the plan at which everything was up.
        samples: one per look.
        notes: what the run did to its own side, and what it could not do.
        stopped: seconds after the start of the plan at which it was asked to stop.
        stop_seconds: from SIGTERM to the end of the last process.
        left: processes that were still there then.
    """

    plan: Plan
    began: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    logs: list[LogWatch] = field(default_factory=list)
    runs: list[RunEnd] = field(default_factory=list)
    ticks: dict[tuple[str, str], int] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    alerts: dict[str, int] = field(default_factory=dict)
    stopped: float = float("inf")
    stop_seconds: float = 0.0
    exit_code: int | None = None
    left: list[str] = field(default_factory=list)
    longest_gap_minutes: float = 0.0

    def note(self, text: str) -> None:
        self.notes.append(f"{self.plan.elapsed():.0f} s: {text}")


def soak(
    folder: Path,
    seconds: float,
    *,
    instances: int = 4,
    databases: int = 50,
    statements: int = 50,
    full_disk: bool = True,
) -> Record:
    """Run everything for so long, with faults, and gather what there is to judge.

    Args:
        folder: absent; keeps journal and logs.
        seconds: from the moment at which everything is up.
        instances: how many servers, of so many `databases` with so many `statements` each.
        full_disk: whether the disk is filled; what was starting then is given up after two minutes only.
    """
    journal = folder / "journal"
    journal.mkdir(parents=True)
    folder.chmod(0o755)
    plan = quiet_plan(seconds, journal, instances=instances, databases=databases, statements=statements)
    with stage(folder, plan) as made:
        plan.write(made.plan_file)
        record = Record(plan)
        _collect_all(made, plan, "first")
        _run_up(made, record, seconds, full_disk=full_disk)
        record.runs = runs_of(made.server.dsn("dagster"))
        record.ticks = ticks_of(made.server.dsn("dagster"))
        _collect_all(made, record.plan, "last")
        with made.monitor(record.plan).session() as session:
            record.comparisons = compare(record.plan, session.store)
            log = session.store.collection_log(record.plan.started_at)
            record.longest_gap_minutes = max((one.gap_seconds or 0.0 for one in log), default=0.0) / 60
        record.alerts = dict(made.hook.taken)
        return record


def _collect_all(made: Stage, plan: Plan, which: str) -> None:
    with made.monitor(plan).session() as session:
        report = session.collect(only=[name for name, _ in plan.instances])
    assert not report.failed, f"the {which} collection failed: {report.failed[0].message}"


def _run_up(made: Stage, record: Record, seconds: float, *, full_disk: bool) -> None:
    port, out, err = free_port(), made.folder / "up.out", made.folder / "up.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            made.command(port), cwd=made.folder, env=made.environment, stdout=stdout, stderr=stderr
        )
    supervisor = psutil.Process(process.pid)
    record.logs = [LogWatch(made.state / "up" / "up.log"), LogWatch(err)]
    try:
        _await_ready(process, out)
        record.began = record.plan.elapsed()
        record.plan = with_troubles(
            record.plan, after=record.began, disk=full_disk and made.disk.own, clock=made.clock.movable
        )
        record.plan.write(made.plan_file)
        _watch(made, record, supervisor, record.began + seconds, port)
    finally:
        _stop(process, supervisor, record)
        made.disk.free()
        made.clock.move(0)
    _keep_running(made, record)
    for log in record.logs:
        log.look(record.plan.elapsed())
    restarts = [line for line in out.read_text().splitlines() if '"restarting"' in line]
    record.notes += [f"`up` restarted a child: {line}" for line in restarts]


def _await_ready(process: "subprocess.Popen[bytes]", out: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not any(json.loads(line).get("event") == "ready" for line in out.read_text().splitlines() if line):
        assert process.poll() is None, "dbplanmon up ended before it was ready"
        assert time.monotonic() < deadline, "dbplanmon up was never ready"
        time.sleep(0.2)


def _watch(made: Stage, record: Record, supervisor: psutil.Process, until: float, port: int) -> None:
    every = min(60.0, record.plan.seconds / 12)
    next_sample = record.plan.elapsed()
    on: set[Injection] = set()
    while (now := record.plan.elapsed()) < until:
        for one in record.plan.injections:
            if one.kind in OURS and one.is_on(now) and one not in on:
                on.add(one)
                _begin(made, record, one)
            if one in on and not one.is_on(now):
                on.remove(one)
                _end(made, record, one)
        if any(one.kind is Trouble.DISK_FULL for one in on):
            made.disk.fill()
        elif not any(one.kind is Trouble.STORE_RESTART for one in on):
            _keep_running(made, record)
        for log in record.logs:
            log.look(now)
        if now >= next_sample:
            next_sample += every
            record.samples.append(_sample(made, record, supervisor))
            answers("127.0.0.1", port, "/server_info")
        assert supervisor.is_running(), "dbplanmon up ended"
        assert supervisor.status() != psutil.STATUS_ZOMBIE, "dbplanmon up ended"
        time.sleep(LOOK_SECONDS)


def _begin(made: Stage, record: Record, one: Injection) -> None:
    match one.kind:
        case Trouble.STORE_RESTART:
            made.server.stop()
        case Trouble.DISK_FULL:
            taken = made.disk.fill()
            record.note(f"disk filled with {taken / 1e6:.0f} MB, {made.disk.used_bytes / 1e6:.0f} MB in use")
            return
        case Trouble.CLOCK_AHEAD:
            made.clock.move(one.amount)
        case _:
            pass
    record.note(f"{one.kind} begins")


def _end(made: Stage, record: Record, one: Injection) -> None:
    match one.kind:
        case Trouble.STORE_RESTART:
            made.server.start()
        case Trouble.DISK_FULL:
            made.disk.free()
        case Trouble.CLOCK_AHEAD:
            made.clock.move(0)
        case _:
            pass
    record.note(f"{one.kind} ends")


def _keep_running(made: Stage, record: Record) -> None:
    """What a service manager does for PostgreSQL."""
    if made.server.running:
        return
    made.server.stop()
    try:
        made.server.start()
        record.note("PostgreSQL had ended and was started again")
    except PostgresNotStarted as error:
        record.note(f"PostgreSQL does not start: {error}")


def _sample(made: Stage, record: Record, supervisor: psutil.Process) -> Sample:
    memory, processes = memory_by_role(supervisor)
    counts = count_everything(made.server.dsn("store"), made.server.dsn("dagster"))
    counts["disk MB"] = made.disk.used_bytes / 1e6
    return Sample(record.plan.elapsed(), memory, processes, counts)


def _stop(process: "subprocess.Popen[bytes]", supervisor: psutil.Process, record: Record) -> None:
    try:
        family = supervisor.children(recursive=True)
    except psutil.Error:
        family = []
    record.stopped, asked = record.plan.elapsed(), time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        record.exit_code = process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    record.stop_seconds = time.monotonic() - asked
    for left in family:
        if left.is_running() and left.status() != psutil.STATUS_ZOMBIE:
            record.left.append(" ".join(left.cmdline())[:120])
            left.kill()
