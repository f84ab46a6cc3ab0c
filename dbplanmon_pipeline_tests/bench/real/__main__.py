"""`python -m dbplanmon_pipeline_tests.bench.real`: normal life of a real PostgreSQL, then twelve faults."""

import argparse
import sys
import tempfile
from pathlib import Path

from dbplanmon_pipeline.demo.postgres_binaries import find_postgres
from dbplanmon_pipeline.logs import configure_logging
from dbplanmon_pipeline_tests.bench.real.faults import FAULTS
from dbplanmon_pipeline_tests.bench.real.play import FaultOutcome, RealReport, play


def main() -> None:
    """Print what happens on standard error, and the tables on standard output."""
    parser = argparse.ArgumentParser(prog="python -m dbplanmon_pipeline_tests.bench.real", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of normal life before the first fault")
    parser.add_argument("--tick", type=int, default=2, help="seconds between two readings")
    parser.add_argument("--settle", type=int, default=45, help="readings after each fault")
    parser.add_argument("--postgres-bin", type=Path, help="folder of the server's programs")
    parser.add_argument("--only", metavar="WORD", default="", help="only faults whose name or kind holds this word")
    chosen = parser.parse_args()
    binaries = find_postgres(chosen.postgres_bin)
    if binaries is None:
        parser.exit(1, "no PostgreSQL was found: install one, or name its folder with --postgres-bin\n")
    faults = [one for one in FAULTS if chosen.only in f"{one.kind} {one.name}"]
    with (
        tempfile.TemporaryDirectory(prefix="dbplanmon-real-") as folder,
        (Path(folder) / "real.log").open("w", encoding="utf-8") as log,
    ):
        Path(folder).chmod(0o755)
        configure_logging(json=True, stream=log)
        report = play(
            binaries,
            Path(folder),
            faults,
            minutes=chosen.minutes,
            tick_seconds=chosen.tick,
            settle=chosen.settle,
            tell=lambda line: sys.stderr.write(line + "\n"),
        )
    sys.stdout.write(page(report, binaries.major_version()))


def page(report: RealReport, version: int) -> str:
    """In Markdown."""
    faults = [one for one in report.outcomes if one.happened and not one.fault.owes_silence]
    found = [one for one in faults if one.ticks is not None]
    false = [words for one in report.outcomes for words in one.false]
    lines = [
        f"PostgreSQL {version}, {report.ticks} readings of {report.statements} kinds of statements.",
        "",
        f"- Normal life, {report.watched} readings judged: {len(report.normal)} incidents"
        + (f" ({'; '.join(report.normal)})" if report.normal else ""),
        f"- Faults: {len(found)} of {len(faults)} found, {len(false)} false incidents beside them or after them",
        "",
        "| fault | kind | in truth | found after | said | false |",
        "|---|---|---|---|---|---|",
    ]
    for one in report.outcomes:
        truth = "" if one.fault.owes_silence else f"x{one.slowdown:.3g}"
        cells = (one.fault.name, one.fault.kind, truth, _found(one), one.said, "; ".join(one.false))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _found(outcome: FaultOutcome) -> str:
    if outcome.ticks is not None:
        return f"{outcome.ticks} readings"
    if outcome.fault.owes_silence:
        return "owes silence"
    return "**missed**" if outcome.happened else "did not get slower"


if __name__ == "__main__":
    main()
