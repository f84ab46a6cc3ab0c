"""What stands above the tree of a statement."""

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.findings.view import view_of
from dbplanmon_pipeline.core.plans.headings import cost_text, heading_of
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, PlanStatement

RESULT = Operator(NodeKind.COMPUTE, "Result")


def heading(engine, **told):
    return heading_of(view_of(engine, PlanStatement(RESULT, **told)))


def test_a_plan_that_only_was_estimated_tells_its_cost():
    told = heading(Engine.POSTGRES, kind="SELECT", plan_hash=0xAB, estimated_cost=1234.5, text=f"SELECT\n{'1, ' * 90}1")
    assert told.startswith("SELECT plan 00000000000000ab, cost 1,234: SELECT 1, 1, ")
    assert told.endswith("…")
    assert len(told) < 180


def test_a_showplan_that_ran_tells_what_it_took():
    attributes = {
        "DegreeOfParallelism": "8",
        "QueryTimeStats": {"ElapsedTime": "725", "CpuTime": "5770"},
        "MemoryGrantInfo": {"GrantedMemory": "24784", "MaxUsedMemory": "2976"},
    }
    told = heading(Engine.SQLSERVER, kind="SELECT", estimated_cost=0.0032, attributes=attributes)
    assert told == ("SELECT, cost 0.003, ran 725 ms (CPU 5,770 ms), 8 threads, 24.2 MB of memory granted, 2.91 MB used")


def test_what_a_plan_does_not_tell_is_left_out():
    odd = {"DegreeOfParallelism": "1", "QueryTimeStats": [], "MemoryGrantInfo": {"GrantedMemory": "0"}}
    assert heading(Engine.SQLSERVER, attributes=odd) == "statement"


def test_explain_analyze_tells_both_of_its_times():
    times = {"Execution Time": 107.73, "Planning Time": 0.231}
    assert heading(Engine.POSTGRES, kind="SELECT", attributes=times) == "SELECT, ran 108 ms (planned in 0.23 ms)"


def test_costs_far_below_one_are_no_zero():
    assert [cost_text(cost) for cost in (0, 0.0032, 0.5, 1234.5)] == ["0", "0.003", "0.5", "1,234"]
