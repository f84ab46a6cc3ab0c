"""A soak run of a minute: its shorter faults, and all of its claims that a minute can show."""

from pathlib import Path

import pytest

from dbplanmon_pipeline_tests.soak.plan import Injection, Trouble, quiet_plan, read_plan, with_troubles
from dbplanmon_pipeline_tests.soak.report import RECOVERED, STOPPED, TRUE_WORK, verdict
from dbplanmon_pipeline_tests.soak.run import soak
from dbplanmon_pipeline_tests.soak.truth import Comparison
from dbplanmon_pipeline_tests.support.postgres import any_binaries
from dbplanmon_pipeline_tests.support.requirements import absent

MINUTE = 60.0


@pytest.mark.slow
@pytest.mark.postgres
def test_a_minute_of_everything(tmp_path_factory: pytest.TempPathFactory) -> None:
    any_binaries()
    record = soak(tmp_path_factory.mktemp("soak") / "run", MINUTE, instances=2, databases=4, full_disk=False)
    # How long the stop takes is judged by long runs on a machine of their own; here it must leave nothing.
    assert not [found for found in verdict(record) if not found.holds and found.claim not in (RECOVERED, STOPPED)]
    assert (record.left, record.exit_code) == ([], 0)
    kinds = {injection.kind for injection in record.plan.injections}
    assert {Trouble.STORE_RESTART, Trouble.SERVER_RESTART, Trouble.UNREACHABLE} <= kinds
    assert any(run.status == "SUCCESS" for run in record.runs if run.job == "collection_job")
    # The verdict can fail.
    record.comparisons[0] = Comparison(record.comparisons[0].ref, 1.0, 2.0, "counted twice")
    assert TRUE_WORK in {finding.claim for finding in verdict(record) if not finding.holds}
    if Trouble.CLOCK_AHEAD not in kinds:
        absent("cc", "no C compiler, so the clock was not moved")


def test_plan_of_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    plan = with_troubles(quiet_plan(600, tmp_path), after=10, disk=True, clock=True)
    plan.write(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan


def test_faults_leave_beginning_and_end_of_a_run_alone(tmp_path: Path) -> None:
    plan = with_troubles(quiet_plan(2_700, tmp_path), after=0, disk=True, clock=True)
    passing = [one for one in plan.injections if one.kind is not Trouble.PLAN_REGRESSION]
    assert {one.kind for one in plan.injections} == set(Trouble)
    assert min(one.begins for one in passing) >= 270
    assert max(one.ends for one in passing) <= 2_400


def test_a_fault_hits_what_it_names() -> None:
    whole, some = Injection(Trouble.SLOW, 1, 2, "a"), Injection(Trouble.SLOW, 1, 2, "a", ("x",))
    assert (whole.hits("a", "x"), whole.hits("b", "x"), some.hits("a", "x"), some.hits("a", "y")) == (
        True,
        False,
        True,
        False,
    )
    assert [whole.is_on(seconds) for seconds in (0.9, 1, 1.9, 2)] == [False, True, True, False]
