"""The application of the demo: a process of its own that runs the shop's statements at steady rates."""

import heapq
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import psycopg
from psycopg.types.numeric import Int4

from dbplanmon_pipeline.demo.statements import STATEMENTS, Parameters, ShopStatement

WORKERS = 4
TOO_LATE_SECONDS = 0.5
OPTIONS = "-c plan_cache_mode=force_generic_plan"
"""Statements are prepared once and run with their generic plan, as with most connection pools and mappers."""


def start_workload(dsn: str) -> "subprocess.Popen[bytes]":
    """Start the process; `stop_workload` ends it, and it ends itself when its parent does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dbplanmon_pipeline.demo.workload"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if process.stdin is not None:
        # Not on the command line, where every user of the machine could read it.
        process.stdin.write(dsn.encode() + b"\n")
        process.stdin.flush()
    return process


def stop_workload(process: "subprocess.Popen[bytes]") -> None:
    """End the process and wait for it."""
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """Run until the pipe from the parent closes or a signal comes."""
    dsn = sys.stdin.buffer.readline().decode().strip()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workers = [
        threading.Thread(target=run_statements, args=(dsn, STATEMENTS[n::WORKERS], stop, n), daemon=True)
        for n in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    stop.wait()
    for worker in workers:
        worker.join(timeout=2)


def _stop_with_parent(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def run_statements(dsn: str, statements: Sequence[ShopStatement], stop: threading.Event, seed: int) -> None:
    """Run each statement at its rate; a lost connection is opened again, as an application's pool would."""
    chance = random.Random(seed)  # noqa: S311 - a workload, no secret
    while not stop.is_set():
        try:
            with psycopg.connect(dsn, autocommit=True, options=OPTIONS, application_name="shop") as connection:
                connection.prepare_threshold = 0
                _run_until_lost(connection, statements, stop, chance)
        except psycopg.OperationalError:
            stop.wait(0.2)


def _run_until_lost(
    connection: psycopg.Connection, statements: Sequence[ShopStatement], stop: threading.Event, chance: random.Random
) -> None:
    now = time.monotonic()
    due = [(now + chance.random() / s.per_second, number) for number, s in enumerate(statements)]
    heapq.heapify(due)
    while not stop.is_set():
        at, number = due[0]
        if (wait := at - time.monotonic()) > 0:
            stop.wait(wait)
            continue
        statement = statements[number]
        connection.execute(statement.tagged.encode(), _typed(statement.parameters(chance))).close()
        # A statement that became slow must not pile up a backlog that hides what the others do.
        earliest = max(at, time.monotonic() - TOO_LATE_SECONDS)
        heapq.heapreplace(due, (earliest + chance.uniform(0.8, 1.2) / statement.per_second, number))


def _typed(parameters: Parameters) -> tuple[Int4 | str, ...]:
    """One type for all numbers: by their size they would make two statements of one for the server."""
    return tuple(Int4(value) if isinstance(value, int) else value for value in parameters)


if __name__ == "__main__":
    main()
