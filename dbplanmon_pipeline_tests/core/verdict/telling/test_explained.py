"""What a verdict says of plans and of its beginning."""

import pytest

from dbplanmon_pipeline_tests.core.verdict.test_statistical import evaluations
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


@pytest.mark.parametrize("way_back", [1004, 78])
def test_a_plan_that_ends_the_rise_is_not_blamed_for_it(way_back):
    workload = Workload()
    # The last interval had both plans, and its executions count as those of the one it ended with.
    workload.slow_down(3, slice(48, 54), 100)
    workload.plan[3, 48:53] = 77
    workload.plan[3, 53:] = way_back
    (found,) = evaluations(workload, [53])
    (verdict,) = found.verdicts

    assert (verdict.previous_plan_hash, verdict.plan_hash) == (1004, 77)
