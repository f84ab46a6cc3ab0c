"""Starts of `dbplanmon up` on an empty home, stops at random: python -m dbplanmon_pipeline_tests.soak.starts."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbplanmon_pipeline_tests.cli.test_up import events, of_kind
from dbplanmon_pipeline_tests.cli.test_up_sudden_ends import QUICK_TARGETS, Up, left_in

LONGEST_START_SECONDS = 300
LATEST_STOP_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Start:
    """Attributes: seconds from the start to `ready`, and from SIGTERM to the end; what went wrong."""

    ready: float
    stopped: float
    wrong: str = ""


def start_on_an_empty_home(folder: Path, stop_after: float) -> Start:
    """Start, let it run for so long after it is ready, stop."""
    (folder / "dbplanmon.yaml").write_text(QUICK_TARGETS, encoding="utf-8")
    began = time.monotonic()
    up = Up(folder)
    try:
        while not of_kind(up.out, "ready"):
            if up.process.poll() is not None or time.monotonic() - began > LONGEST_START_SECONDS:
                return Start(time.monotonic() - began, 0.0, (folder / "err").read_text("utf-8")[-300:] or "never ready")
            time.sleep(0.05)
        ready = time.monotonic() - began
        time.sleep(stop_after)
        asked = time.monotonic()
        up.process.terminate()
        code = up.process.wait(60)
        stopped = time.monotonic() - asked
        left = left_in(folder)
        wrong = "" if code == 0 else f"ended with {code}"
        wrong += f"; {len(left)} processes left" if left else ""
        wrong += "" if events(up.out)[-1]["event"] == "stopped" else "; did not say so"
        return Start(ready, stopped, wrong)
    finally:
        for process in left_in(folder):
            process.kill()
        up.process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """One line per start; returns 0 where all were good."""
    parser = argparse.ArgumentParser(prog="python -m dbplanmon_pipeline_tests.soak.starts", description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    chosen = parser.parse_args(arguments)
    dice, found = random.Random(5), []
    for number in range(chosen.times):
        with tempfile.TemporaryDirectory(prefix="dbplanmon-start-") as folder:
            found.append(start_on_an_empty_home(Path(folder), dice.uniform(0.0, LATEST_STOP_SECONDS)))
        one = found[-1]
        sys.stdout.write(f"{number + 1}: ready {one.ready:.1f} s, stopped {one.stopped:.1f} s {one.wrong}\n")
        sys.stdout.flush()
    good = [one for one in found if not one.wrong and one.stopped < 10]
    sys.stdout.write(f"{len(good)} of {len(found)} good\n")
    return 0 if len(good) == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
