"""What goes on beside a workload on any server: checkpoints, vacuum, and a neighbour that takes the CPU."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

TABLES = ("customers", "orders", "lines", "products")
_BUSY = "import sys, time\nuntil = time.process_time() + float(sys.argv[1])\nwhile time.process_time() < until: pass\n"


@contextmanager
def natural_noise(dsn: str, seed: int = 5) -> Iterator[None]:
    """Noise for as long as the context lives, in threads and processes of its own."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_maintain, args=(dsn, stop, random.Random(seed)), daemon=True),
        threading.Thread(target=_compute, args=(stop, random.Random(seed + 1)), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=20)


def _maintain(dsn: str, stop: threading.Event, dice: random.Random) -> None:
    while not stop.wait(dice.uniform(20, 60)):
        try:
            with psycopg.connect(dsn, autocommit=True, application_name="upkeep") as owner:
                owner.execute(dice.choice([f"vacuum {table}" for table in TABLES] + ["checkpoint"]).encode())
        except psycopg.OperationalError:
            continue


def _compute(stop: threading.Event, dice: random.Random) -> None:
    """One core for some seconds, every now and then."""
    while not stop.wait(dice.uniform(15, 60)):
        process = subprocess.Popen([sys.executable, "-c", _BUSY, f"{dice.uniform(2, 8):.1f}"])
        while process.poll() is None:
            if stop.wait(0.5):
                process.kill()
        process.wait()
