"""Probes and metrics of a large fleet, over HTTP. Run with `... .bench --only bench_web`.

The server is a process of its own. Requests begin at fixed moments whatever became of those before, and a latency
counts from the moment at which a request should have begun, so that a stall shows in every request it delays.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline_tests.bench.bench_store import TICK, fleet, tick
from dbplanmon_pipeline_tests.bench.figures import Row

NAME = "Health and metrics (SQLite)"
DATABASES, TICKS = 2_000, 6
RATE, SECONDS, CONNECTIONS = 200, 15, 20
SCRAPES = 20


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder)
        with _served(folder) as address:
            asyncio.run(_load(address, "/health", 1, 5))
            return [
                *_probes(address, "/health/live", "< 20 ms"),
                *_probes(address, "/health/ready", "< 50 ms"),
                *_probes(address, "/health", ""),
                *_scrapes(address),
            ]


def _fill(folder: Path) -> None:
    """The last half hour of 2,000 databases, as a running monitor has it."""
    refs, random = fleet(DATABASES), np.random.default_rng(1)
    now = datetime.now(UTC)
    instances = [
        {"name": name, "engine": "postgres", "server": "nowhere.invalid", "login": {"user": "dbplanmon"}}
        | {"databases": [ref.database for ref in refs if ref.instance == name]}
        for name in sorted({ref.instance for ref in refs})
    ]
    (folder / "dbplanmon.yaml").write_text(json.dumps({"instances": instances}), encoding="utf-8")
    (folder / ".dbplanmon").mkdir()
    store = open_store(f"sqlite:///{folder}/.dbplanmon/store.db")
    store.upgrade()
    for number in range(TICKS):
        store.record(tick(refs, number, random, now - TICK * (TICKS - 1)))
    store.close()


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "dbplanmon_pipeline", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            url = urlsplit(json.loads(process.stdout.readline())["url"])
            yield str(url.hostname), int(url.port or 0)
        finally:
            process.terminate()


def _probes(address: tuple[str, int], path: str, target: str) -> Iterator[Row]:
    found = np.sort(asyncio.run(_load(address, path, RATE, RATE * SECONDS))) * 1000
    what = f"{path}, {RATE} requests/s for {SECONDS} s, {DATABASES:,} databases"
    yield Row(f"{what}: median", float(np.median(found)), "ms")
    yield Row(f"{what}: 99 % within", float(np.quantile(found, 0.99)), "ms", target)
    yield Row(f"{what}: longest", float(found[-1]), "ms")


def _scrapes(address: tuple[str, int]) -> Iterator[Row]:
    """Far enough apart for each to read the store."""
    found = []
    for _ in range(SCRAPES):
        time.sleep(2.5)
        found += asyncio.run(_load(address, "/metrics", 1, 1, connections=1))
    yield Row(f"/metrics, {DATABASES:,} databases: median", float(np.median(found)) * 1000, "ms", "< 100 ms")
    yield Row(f"/metrics, {DATABASES:,} databases: longest", max(found) * 1000, "ms")


async def _load(
    address: tuple[str, int], path: str, per_second: float, count: int, connections: int = CONNECTIONS
) -> list[float]:
    """Seconds from when each request should have begun to the end of its answer."""
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(connections):
        idle.put_nowait(await asyncio.open_connection(*address))
    begin = time.perf_counter() + 0.1

    async def ask(number: int) -> float:
        due = begin + number / per_second
        await asyncio.sleep(due - time.perf_counter())
        reader, writer = await idle.get()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address[0]}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200"), head
        await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
        idle.put_nowait((reader, writer))
        return time.perf_counter() - due

    found = await asyncio.gather(*(ask(number) for number in range(count)))
    while not idle.empty():
        _, writer = idle.get_nowait()
        writer.close()
    return list(found)
