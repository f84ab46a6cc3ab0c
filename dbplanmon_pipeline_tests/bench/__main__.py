"""All benchmarks as Markdown tables: python -m dbplanmon_pipeline_tests.bench [--only NAME ...]."""

import argparse
import sys
import time
from collections.abc import Sequence
from importlib import import_module

from dbplanmon_pipeline_tests.bench.figures import markdown

BENCHMARKS = (
    "bench_collect",
    "bench_spool",
    "bench_store",
    "bench_retention",
    "bench_verdict",
    "bench_worlds",
    "bench_events",
    "bench_alerts",
    "bench_web",
    "bench_pages",
    "bench_postgres",
    "bench_sqlserver",
    "bench_showplan",
)
"""Modules of this package; each has a `NAME` and a `run` that returns rows."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table per benchmark as soon as it is there."""
    parser = argparse.ArgumentParser(prog="python -m dbplanmon_pipeline_tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    chosen = parser.parse_args(arguments).only or BENCHMARKS
    for name in chosen:
        module = import_module(f"{__package__}.{name}")
        began = time.perf_counter()
        sys.stdout.write(f"{markdown(module.NAME, module.run())}\n\n")
        sys.stdout.flush()
        sys.stderr.write(f"{name}: {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
