"""Try the properties of one target: python -m dbplanmon_pipeline_tests.fuzz TARGET --minutes N."""

import argparse
import sys
import time
from collections.abc import Sequence

from dbplanmon_pipeline_tests.fuzz.properties import attempt, targets

EXAMPLES = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the time is up or a property fails; each round tries every property on new inputs."""
    known = targets()
    parser = argparse.ArgumentParser(prog="python -m dbplanmon_pipeline_tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(known))
    parser.add_argument("--minutes", type=float, default=1.0, help="how long, of CPU; one round at least")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9, help="of the first round; to repeat one")
    chosen = parser.parse_args(arguments)
    end, number = time.process_time() + chosen.minutes * 60, chosen.seed
    while number == chosen.seed or time.process_time() < end:
        for one in known[chosen.target]:
            try:
                attempt(one, EXAMPLES, number)
            except BaseException:
                sys.stderr.write(f"{chosen.target}: {one.claimed}: failed in the round of --seed {number}\n")
                raise
        number += 1
    rounds = number - chosen.seed
    tried = rounds * EXAMPLES * len(known[chosen.target])
    spent = f"{time.process_time() / 60:.1f} minutes of CPU"
    sys.stdout.write(
        f"{chosen.target}: {rounds} rounds from --seed {chosen.seed}, {tried:,} inputs, {spent}, nothing found\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
