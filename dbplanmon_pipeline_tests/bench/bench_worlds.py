"""The verdict in worlds that are built otherwise: how much is found, and how much of what is said is wrong.

python -m dbplanmon_pipeline_tests.bench --only bench_worlds
python -m dbplanmon_pipeline_tests.bench.bench_worlds --statements 240 --seed 2 ramps office

The second form replays chosen worlds of any size and tells what was missed and what was wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.services.backtest import BacktestPolicy, BacktestReport, backtest
from dbplanmon_pipeline_tests.bench.figures import Row, spend
from dbplanmon_pipeline_tests.bench.worlds.catalog import RECIPES, make_world
from dbplanmon_pipeline_tests.bench.worlds.clock import STEP
from dbplanmon_pipeline_tests.bench.worlds.files import write_labelled
from dbplanmon_pipeline_tests.bench.worlds.scoring import Score, score

NAME = "Worlds built otherwise"
SMALL = 60
"""Statements of a world of `run`; one false alert is then 2.4 per 1,000 statements and day."""

LOOKBACK = timedelta(days=2)
_RATE = "false alerts per 1,000 statements and day"


@dataclass(frozen=True)
class Replayed:
    """A world and what was said of it.

    Attributes:
        score: against its labels.
        intervals: rows.
        cpu: seconds of the replay.
    """

    score: Score
    intervals: int
    cpu: float


def run() -> list[Row]:
    rows, false, thousands = [], 0, 0.0
    for name, recipe in RECIPES.items():
        found = replay(name, seed=1, statements=SMALL).score
        false, thousands = false + found.false.total(), thousands + found.thousands
        if found.events:
            size = f"{found.events} regressions, {found.false.total()} false alerts"
            rows.append(Row(f"{recipe.about}: F1 ({size})", found.f1, "", ">= 0.90"))
        else:
            rows.append(Row(f"{recipe.about}: {_RATE}", found.false_rate, "", "<= 1"))
    return [*rows, Row(f"{_RATE}, all worlds", false / thousands, "", "<= 1")]


def replay(
    name: str, seed: int, statements: int, *, lookback: timedelta = LOOKBACK, out: Path | None = None
) -> Replayed:
    """Make a world and replay the detector over it.

    Args:
        name: of the world.
        seed: of chance.
        statements: how many.
        lookback: see `analysis.lookback`.
        out: a folder for the record and its labels.
    """
    world = make_world(name, seed, statements)
    if out is not None:
        write_labelled(world, out)
    detector = StatisticalDetector(DetectorPolicy(lookback_intervals=lookback // STEP))
    reports: list[BacktestReport] = []
    spent = spend(lambda: reports.append(backtest(world.frame, detector, BacktestPolicy(lookback=lookback))))
    return Replayed(score(world, reports[0].notifications), len(world.frame.rows), spent.cpu)


def main(arguments: Sequence[str] | None = None) -> None:
    """One line per world and seed, then what was missed and what was wrong."""
    parser = argparse.ArgumentParser(prog="python -m dbplanmon_pipeline_tests.bench.bench_worlds", description=__doc__)
    parser.add_argument("worlds", nargs="*", metavar="WORLD", help=", ".join(RECIPES))
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--statements", type=int, default=SMALL)
    parser.add_argument("--lookback-hours", type=int, default=48)
    parser.add_argument("--out", type=Path, help="folder for records and labels")
    parser.add_argument("--tell", action="store_true", help="say what was missed and what was wrong")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.worlds) - set(RECIPES):
        parser.error(f"no world is called {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    for seed in chosen.seed or [1]:
        for name in chosen.worlds or RECIPES:
            out = chosen.out / f"{name}-{seed}" if chosen.out else None
            lookback = timedelta(hours=chosen.lookback_hours)
            found = replay(name, seed, chosen.statements, lookback=lookback, out=out)
            sys.stdout.write(f"{line(name, seed, found)}\n")
            if chosen.tell:
                sys.stdout.writelines(f"    missed {one}\n" for one in found.score.missed)
                sys.stdout.writelines(f"    wrong {one}\n" for one in found.score.wrong)
            sys.stdout.flush()


def line(name: str, seed: int, found: Replayed) -> str:
    """The figures of one world."""
    was = found.score
    return (
        f"{name:10} seed {seed}: F1 {was.f1:.3f}, precision {was.precision:.3f}, recall {was.recall:.3f} "
        f"({was.found} of {was.events}), material {was.material_found} of {was.material}, "
        f"false {was.false_rate:.2f} {dict(was.false)}, delay {was.delay(0.5):.0f} and {was.delay(0.9):.0f}, "
        f"wide {was.wide_found} of {was.wide} and {was.wide_false} false, "
        f"{found.cpu / found.intervals * 1e6:.1f} CPU s per million of {found.intervals:,}"
    )


if __name__ == "__main__":
    main()
