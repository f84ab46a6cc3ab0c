"""Memory that a back-test gives to itself again."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
import numpy as np
from dbplanmon_pipeline.cli.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(500_000)
    np.ones(5_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", _FAULTS, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library hands memory out only there")
def test_freed_arrays_are_used_again_without_asking_the_system():
    assert faults("keep") < 50
