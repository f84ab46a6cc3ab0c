"""One collection of a simulated fleet, provider to committed store, through the service that the job runs.

`python -m dbplanmon_pipeline_tests.bench.bench_collect DATABASES` measures one fleet in this process and prints JSON;
`run` starts one such process per fleet, so that the peak of memory is that of a collection and nothing else.

The fleet has Query Store. Its first reading takes what the last two intervals hold, with every text and plan.

The yardstick stores the same rows the plain way: for each statement look up its row, insert or update it, insert the
metrics; SQLAlchemy on SQLite with the same durability, one transaction per database. It gets its rows for nothing,
while the collection also asks the provider, differences counters and keeps their state.
"""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, create_engine, event

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.settings import InstanceSettings, Settings, load_settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.bench.figures import Row, peak_memory_mb, spend

NAME = "One collection"
FLEETS = (500, 2_000)
STATEMENTS = 50
START = datetime(2026, 3, 10, 12, tzinfo=UTC)
TICK = timedelta(minutes=5)
YARDSTICK_DATABASES = 40
TICKS = {
    "first": ("first tick", ""),
    "normal": ("a tick", "< 15 s"),
    "quiet": ("a tick without new work", "< 5 s"),
}
"""In order: what it is called in the table, and its target."""

SETTINGS = """\
environment: test
state_dir: {folder}
instances:
  - {{name: fleet, engine: simulated, databases: {databases}, options: {{seed: 7, statements: {statements}}}}}
"""


def fleet_settings(folder: Path, databases: int) -> Settings:
    file = folder / "dbplanmon.yaml"
    text = SETTINGS.format(folder=folder / "state", databases=databases, statements=STATEMENTS)
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ={})


def measure(databases: int) -> dict[str, float]:
    """The first reading, one with new work of every statement, and one after which nothing had run."""
    clock = FixedClock(START)
    quiet = SimulatedFault("nothing runs", "", 0, FaultKind.QUIET, START + TICK)

    def simulated(instance: InstanceSettings, settings: Settings) -> SimulatedProvider:
        names = instance.databases.count or 0
        return SimulatedProvider(instance.name, names, clock=clock, seed=7, statements=STATEMENTS, faults=[quiet])

    figures: dict[str, float] = {"databases": databases}
    with tempfile.TemporaryDirectory() as name:
        settings = fleet_settings(Path(name), databases)
        # One session for all ticks, as the providers of a long-lived process keep their histories.
        with Monitor(settings, clock, make_provider=simulated).session() as session:
            reports: list[CollectionReport] = []
            for tick in TICKS:
                spent = spend(lambda: reports.append(session.collect()))
                figures |= {f"{tick}_cpu": spent.cpu, f"{tick}_wall": spent.wall, f"{tick}_rows": reports[-1].rows}
                clock.advance(TICK)
    return figures | {"peak_mb": peak_memory_mb()}


def yardstick_cpu_per_row() -> float:
    """CPU seconds per statement of the plain way, second tick (every statement is known)."""
    metadata = MetaData()
    figures = [Column(name, Float) for name in (*COUNTERS, *EXTREMA)]
    query = Table(
        "query",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("database_id", Integer, index=True),
        Column("query_hash", BigInteger, index=True),
        Column("last_seen", BigInteger),
    )
    metric = Table(
        "metric",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("query_id", Integer, index=True),
        Column("interval_end_us", BigInteger, index=True),
        *figures,
    )
    random = np.random.default_rng(1)
    hashes = random.integers(-(2**63), 2**63, (YARDSTICK_DATABASES, STATEMENTS)).tolist()
    values = random.lognormal(8, 1, (STATEMENTS, len(figures))).tolist()
    names = [column.name for column in figures]
    records = [dict(zip(names, row, strict=True)) for row in values]

    with tempfile.TemporaryDirectory() as name:
        engine = create_engine(f"sqlite:///{name}/yardstick.db")
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
        metadata.create_all(engine)

        def tick(end_us: int) -> None:
            for database_id, wanted in enumerate(hashes):
                with engine.begin() as connection:
                    for query_hash, record in zip(wanted, records, strict=True):
                        known = (query.c.database_id == database_id) & (query.c.query_hash == query_hash)
                        query_id = connection.scalar(query.select().where(known).with_only_columns(query.c.id))
                        if query_id is None:
                            row = {"database_id": database_id, "query_hash": query_hash, "last_seen": end_us}
                            query_id = connection.execute(query.insert().values(row)).inserted_primary_key[0]
                        else:
                            connection.execute(query.update().where(query.c.id == query_id).values(last_seen=end_us))
                        row = {"query_id": query_id, "interval_end_us": end_us, **record}
                        connection.execute(metric.insert().values(row))

        tick(1)
        cpu = spend(lambda: tick(2)).cpu
        engine.dispose()
    return cpu / (YARDSTICK_DATABASES * STATEMENTS)


def run() -> list[Row]:
    per_row = yardstick_cpu_per_row()
    rows = []
    for databases in FLEETS:
        figures = _in_a_process(databases)
        fleet = f"{databases:,} databases x {STATEMENTS} statements"
        for tick, (meaning, target) in TICKS.items():
            stored = int(figures[f"{tick}_rows"])
            cpu = figures[f"{tick}_cpu"]
            what = f"{fleet}, {meaning}: {stored:,} rows"
            rows.append(Row(f"{what}, CPU", cpu, "s", "", per_row * stored / cpu if stored else None))
            rows.append(Row(f"{what}, wall", figures[f"{tick}_wall"], "s", target))
        rows.append(Row(f"{fleet}: peak memory", figures["peak_mb"], "MB", "< 600 MB"))
    rows.append(Row("yardstick: CPU per 1,000 rows", per_row * 1000, "s"))
    return rows


def _in_a_process(databases: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, str(databases)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))) + "\n")
