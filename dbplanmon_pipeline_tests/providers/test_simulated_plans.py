"""Plans of the simulated statements: valid showplans whose differences read as a DBA would tell them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.plans.comparing.diff import context_changes, diff_plans
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.core.ports import Budget, StatementKey
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.providers.simulated.faults import HARMLESS_PLAN, NORMAL_PLAN, REGRESSED_PLAN
from dbplanmon_pipeline.providers.simulated.plans import captured_plan
from dbplanmon_pipeline.providers.simulated.statements import plan_hash, query_hash, sql_text
from dbplanmon_pipeline_tests.support.requirements import absent

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
COMPILED_US = epoch_us(NOON)
SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "data" / "xsd" / "sql2017.xsd"
NAMESPACE = {"s": "http://schemas.microsoft.com/sqlserver/2004/07/showplan"}
SHAPES = range(5)


def plan(statement, number, refreshed_us=None):
    return captured_plan(statement, number, COMPILED_US, refreshed_us)


def found(statement, number, path):
    return etree.fromstring(plan(statement, number).body).xpath(path, namespaces=NAMESPACE)


@pytest.mark.parametrize("number", [NORMAL_PLAN, REGRESSED_PLAN, HARMLESS_PLAN])
def test_every_plan_follows_the_schema_of_showplans(showplan_schema, number):
    for statement in range(60):
        showplan_schema.assertValid(etree.fromstring(plan(statement, number).body))


@pytest.fixture(scope="module")
def showplan_schema():
    if not SCHEMA.exists():
        absent("showplan-schema", "../shared/data/xsd is not here")
    return etree.XMLSchema(etree.parse(str(SCHEMA)))


@pytest.mark.parametrize("statement", SHAPES)
def test_a_plan_names_its_statement_and_itself(statement):
    (simple,) = found(statement, NORMAL_PLAN, "//s:StmtSimple")
    assert simple.get("QueryHash") == f"0x{hash_text(query_hash(statement)).upper()}"
    assert simple.get("QueryPlanHash") == f"0x{hash_text(plan_hash(statement, NORMAL_PLAN)).upper()}"
    assert simple.get("StatementText").endswith(sql_text(statement))
    assert not found(statement, NORMAL_PLAN, "//@ParameterCompiledValue")


@pytest.mark.parametrize("statement", SHAPES)
def test_the_plan_tree_reads_every_plan(statement):
    trees = [tree_of(plan(statement, number)) for number in range(3)]
    assert all(tree is not None for tree in trees)
    assert len({str(tree.statements[0].root) for tree in trees}) == 3


@pytest.mark.parametrize("statement", SHAPES)
def test_a_regressed_plan_scans_the_table_and_misses_an_index(statement):
    assert found(statement, REGRESSED_PLAN, "//s:RelOp[@PhysicalOp='Clustered Index Scan']")
    assert found(statement, REGRESSED_PLAN, "//s:MissingIndexGroup")
    assert not found(statement, NORMAL_PLAN, "//s:RelOp[@PhysicalOp='Clustered Index Scan']")
    assert not found(statement, NORMAL_PLAN, "//s:MissingIndexGroup")
    costs = [float(found(statement, number, "string(//@StatementSubTreeCost)")) for number in range(3)]
    assert costs[REGRESSED_PLAN] > 10 * costs[NORMAL_PLAN]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (0, ["Key Lookup using PK_orders became Clustered Index Scan using PK_orders", "parallel"]),
        (2, ["Nested Loops", "Hash Match", "Clustered Index Scan"]),
        (3, ["Clustered Index Scan", "missing index"]),
    ],
)
def test_the_difference_of_a_regressed_plan_reads_well(statement, words):
    difference = diff_plans(tree_of(plan(statement, NORMAL_PLAN)), tree_of(plan(statement, REGRESSED_PLAN)))
    text = " | ".join([difference.summary, *(change.text for change in difference.changes)])
    for word in words:
        assert word in text


def test_a_plan_compiled_after_an_update_of_statistics_tells_it():
    kinds = (FaultKind.PLAN_REGRESSION, FaultKind.STATISTICS_UPDATE)
    faults = [SimulatedFault(kind, "sim0001", 3, kind, NOON, None, 9.0) for kind in kinds]
    provider = SimulatedProvider("fleet", 1, clock=lambda: NOON + timedelta(minutes=5), faults=faults)
    keys = [StatementKey(query_hash(3), plan_hash(3, number), "") for number in (NORMAL_PLAN, REGRESSED_PLAN)]
    with provider.open("sim0001", Budget(1e9, lambda: 0.0)) as reader:
        bodies = [etree.fromstring(answer.body) for answer in reader.read_plans(keys)]
    old, new = (
        [
            (s.get("LastUpdate"), s.get("SamplingPercent"))
            for s in body.xpath("//s:StatisticsInfo", namespaces=NAMESPACE)
        ]
        for body in bodies
    )
    assert ("2026-11-20T12:00:00.00", "0.4") in new
    assert all(moment < "2026-11-20" for moment, _ in old)


def test_a_plan_that_never_ran_is_not_there():
    provider = SimulatedProvider("fleet", 1, clock=lambda: NOON)
    with provider.open("sim0001", Budget(1e9, lambda: 0.0)) as reader:
        (answer,) = reader.read_plans([StatementKey(query_hash(3), plan_hash(3, REGRESSED_PLAN), "")])
    assert answer.body == ""
    assert "no such plan" in answer.reason


def test_every_plan_of_a_statement_knows_the_same_indexes_of_its_tables():
    for statement in range(20):
        contexts = [plan(statement, number).context for number in (NORMAL_PLAN, REGRESSED_PLAN, HARMLESS_PLAN)]
        assert context_changes(contexts[0], contexts[1]) == context_changes(contexts[0], contexts[2]) == ()
        used = {one.index for one in tree_of(plan(statement, NORMAL_PLAN)).operators() if one.index}
        assert used
        assert used <= {name.partition(" on ")[0] for name in contexts[0]["indexes"]}
