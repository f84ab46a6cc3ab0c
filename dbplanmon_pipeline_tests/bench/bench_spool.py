"""A store that is away: what keeping the readings of one tick costs, and what recording them later does.

`python -m dbplanmon_pipeline_tests.bench.bench_spool DATABASES` measures one fleet in this process and prints JSON.

The yardstick is a tick of the same fleet with the store there.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.settings import InstanceSettings, Settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.bench.bench_collect import START, STATEMENTS, TICK, fleet_settings
from dbplanmon_pipeline_tests.bench.figures import Row, peak_memory_mb, spend

NAME = "A store that is away"
DATABASES = 2_000
TICKS_AWAY = 3


def measure(databases: int) -> dict[str, float]:
    """A first reading and a usual one, some without the store, and one that records them first."""
    clock = FixedClock(START)

    def simulated(instance: InstanceSettings, _: Settings) -> SimulatedProvider:
        return SimulatedProvider(
            instance.name, instance.databases.count or 0, clock=clock, seed=7, statements=STATEMENTS
        )

    figures: dict[str, float] = {"databases": databases}
    with tempfile.TemporaryDirectory() as name:
        settings = fleet_settings(Path(name), databases)
        monitor = Monitor(settings, clock, make_provider=simulated)
        disk, elsewhere = settings.state_dir / "store.db", settings.state_dir / "elsewhere"
        with monitor.session() as session:
            reports: list[CollectionReport] = []

            def tick(name: str) -> None:
                clock.advance(TICK)
                spent = spend(lambda: reports.append(session.collect()))
                figures[f"{name}_cpu"], figures[f"{name}_wall"] = spent.cpu, spent.wall
                figures[f"{name}_peak_mb"] = peak_memory_mb()

            tick("first")
            tick("usual")
            session.store.close()
            _move(disk, elsewhere)
            for number in range(TICKS_AWAY):
                tick(f"away_{number}")
            files = list((settings.state_dir / "spool").glob("*.spool"))
            figures["spooled_bytes"] = sum(file.stat().st_size for file in files) / TICKS_AWAY
            figures["files"] = len(files)
            _move(elsewhere, disk)
            tick("back")
            figures["replayed"], figures["replayed_rows"] = reports[-1].replayed.readings, reports[-1].replayed.rows
    return figures | {"peak_mb": peak_memory_mb()}


def _move(store: Path, there: Path) -> None:
    """The file of the store with its write-ahead log, if there is one."""
    for suffix in ("", "-wal", "-shm"):
        file = store.with_name(store.name + suffix)
        if file.exists():
            file.rename(there.with_name(there.name + suffix))


def run() -> list[Row]:
    figures = _in_a_process(DATABASES)
    fleet = f"{DATABASES:,} databases x {STATEMENTS} statements"
    later = range(1, TICKS_AWAY)
    kept_cpu = sum(figures[f"away_{n}_cpu"] for n in later) / len(later)
    kept_wall = sum(figures[f"away_{n}_wall"] for n in later) / len(later)
    replay = {kind: (figures[f"back_{kind}"] - figures[f"usual_{kind}"]) / TICKS_AWAY for kind in ("cpu", "wall")}
    return [
        Row(f"{fleet}, a tick with the store, CPU", figures["usual_cpu"], "s"),
        Row(f"{fleet}, the first tick without it, CPU", figures["away_0_cpu"], "s"),
        Row(f"{fleet}, a further tick without it, CPU", kept_cpu, "s"),
        Row(f"{fleet}, a further tick without it, wall", kept_wall, "s", "< 15 s"),
        Row(f"{fleet}, disk per tick without it", figures["spooled_bytes"] / 1e6, "MB"),
        Row(f"{fleet}, recording one such tick later, CPU", replay["cpu"], "s"),
        Row(f"{fleet}, recording one such tick later, wall", replay["wall"], "s", "< 15 s"),
        Row(f"{fleet}: peak memory", figures["peak_mb"], "MB", "< 600 MB"),
    ]


def _in_a_process(databases: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, str(databases)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))) + "\n")
