"""python -m dbplanmon_pipeline_tests.soak --minutes 45 [--report FILE]."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dbplanmon_pipeline_tests.soak.report import page, verdict
from dbplanmon_pipeline_tests.soak.run import soak


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write the report; returns 0 where every claim holds."""
    parser = argparse.ArgumentParser(prog="python -m dbplanmon_pipeline_tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--report", type=Path, help="Markdown file; standard output without it")
    parser.add_argument("--instances", type=int, default=4)
    parser.add_argument("--databases", type=int, default=50, help="of each instance")
    parser.add_argument("--keep", type=Path, help="an absent folder that keeps logs and journal")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dbplanmon-soak-") as scratch:
        folder = chosen.keep or Path(scratch) / "run"
        Path(scratch).chmod(0o755)
        record = soak(folder, chosen.minutes * 60, instances=chosen.instances, databases=chosen.databases)
    text = page(record)
    if chosen.report:
        chosen.report.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    failed = [finding for finding in verdict(record) if not finding.holds]
    for finding in failed:
        sys.stderr.write(f"does not hold: {finding.claim}: {finding.detail}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
