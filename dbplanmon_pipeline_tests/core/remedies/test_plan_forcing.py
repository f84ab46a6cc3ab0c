from dataclasses import replace

import pytest
import sqlfluff

from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.model import CapturedPlan, Engine, Label
from dbplanmon_pipeline.core.remedies.plan_forcing import RowsPerExecution, plan_forcing
from dbplanmon_pipeline.core.remedies.remediation import suggest
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION
from dbplanmon_pipeline_tests.core.plans.showplans import relop, showplan, statement, table

QUERY, FORMER = "00000000000000ab", "00000000000000cd"


def forced(incident=PLAN_REGRESSION, old=None, new=None, rows=None, **present):
    return plan_forcing(incident, old=old, new=new, present=present, **({"rows": rows} if rows else {}))


def forced_with(facts, **options):
    return plan_forcing(PLAN_REGRESSION, old=None, new=None, present=facts, **options)


def captured(index, **context):
    body = showplan(statement(relop("Index Seek", table("Orders", index))))
    return CapturedPlan(0xAB, 0xCD, "showplan", body, context=context)


def test_the_former_plan_is_forced_for_each_query_that_has_it_by_hash():
    found = forced()
    assert (found.kind, found.risk) == ("force_plan", "low")
    assert found.script == (
        "USE [Shop];\n"
        "DECLARE @query_id bigint, @plan_id bigint, @done int = 0;\n"
        "DECLARE found CURSOR LOCAL STATIC READ_ONLY FOR\n"
        "    SELECT q.query_id, MAX(p.plan_id)\n"
        "    FROM sys.query_store_query AS q\n"
        "    JOIN sys.query_store_plan AS p ON p.query_id = q.query_id\n"
        "    WHERE q.query_hash = 0x00000000000000ab AND p.query_plan_hash = 0x00000000000000cd\n"
        "        AND NOT EXISTS (SELECT 1 FROM sys.query_store_plan AS f"
        " WHERE f.query_id = q.query_id AND f.is_forced_plan = 1)\n"
        "    GROUP BY q.query_id;\n"
        "OPEN found;\n"
        "FETCH NEXT FROM found INTO @query_id, @plan_id;\n"
        "WHILE @@FETCH_STATUS = 0\n"
        "BEGIN\n"
        "    EXEC sys.sp_query_store_force_plan @query_id = @query_id, @plan_id = @plan_id;\n"
        "    SET @done = @done + 1;\n"
        "    FETCH NEXT FROM found INTO @query_id, @plan_id;\n"
        "END;\n"
        "CLOSE found;\n"
        "DEALLOCATE found;\n"
        "SELECT @done AS plans_forced;"
    )


def test_undoing_takes_away_the_force_of_that_plan_only():
    undo = forced().undo_script
    assert "sys.sp_query_store_unforce_plan @query_id = @query_id, @plan_id = @plan_id" in undo
    assert "p.is_forced_plan = 1" in undo
    assert "query_plan_hash = 0x00000000000000cd" in undo


def test_both_scripts_are_t_sql():
    found = forced()
    for script in (found.script, found.undo_script):
        sqlfluff.parse(script, dialect="tsql")


def test_a_database_cannot_smuggle_a_statement_in_by_its_name():
    found = forced(replace(PLAN_REGRESSION, database="a]; DROP TABLE x; --"))
    for script in (found.script, found.undo_script):
        assert script.splitlines()[0] == "USE [a]]; DROP TABLE x; --];"


def test_the_rationale_names_plans_costs_and_that_it_treats_a_symptom():
    rationale = forced().rationale
    assert all(word in rationale for word in (QUERY, FORMER, "ffffffffffffffff", "symptom", "per execution"))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"automatic tuning FORCE_LAST_GOOD_PLAN": "ON"}, "left to the engine"),
        ({f"forced plan {QUERY} {FORMER}": "forced"}, "the former plan is forced already"),
        ({f"forced plan {QUERY} {FORMER}": "forced, 3 failures: NO_INDEX"}, "forced, 3 failures: NO_INDEX"),
        ({f"forced plan {QUERY} 00000000000000ef": "forced"}, "plan 00000000000000ef is forced already"),
        ({f"psp variants {QUERY}": "3 under dispatcher x"}, "different parameter values"),
        ({"query store state": "READ_ONLY (size limit reached)"}, "Query Store is READ_ONLY (size limit reached)"),
        ({"replica role": "secondary"}, "this replica is a secondary"),
    ],
)
def test_a_blocker_makes_it_a_review_with_the_reason(facts, reason):
    found = forced_with(facts)
    assert (found.kind, found.script, found.undo_script) == ("review_plans", "", "")
    assert reason in found.rationale


@pytest.mark.parametrize(
    "facts",
    [
        {"automatic tuning FORCE_LAST_GOOD_PLAN": "OFF"},
        {"automatic tuning CREATE_INDEX": "ON"},
        {"forced plan 00000000000000ff 00000000000000cd": "forced"},
        {f"forced plan {QUERY} {FORMER}": ""},
        {"query store state": "READ_WRITE"},
        {"replica role": "primary"},
        {"replica groups": "1: node1"},
    ],
)
def test_facts_that_speak_for_nothing_do_not_block(facts):
    assert forced_with(facts).kind == "force_plan"


def test_secondary_replica_evidence_is_a_review():
    found = forced_with({"replica groups": "1: node1, 2: node2"})
    assert found.kind == "review_plans"
    assert "secondary replicas" in found.rationale


def test_best_plan_served_small_inputs_is_a_review():
    found = forced_with({}, rows=RowsPerExecution(before=3, now=90_000))
    assert found.kind == "review_plans"
    assert "returns 90,000 rows, under the former plan 3" in found.rationale


@pytest.mark.parametrize(("before", "now"), [(100, 300), (90_000, 3), (0, 3), (float("nan"), 9e9), (3, float("nan"))])
def test_rows_that_are_alike_fewer_or_unknown_do_not_block(before, now):
    assert forced_with({}, rows=RowsPerExecution(before, now)).kind == "force_plan"


@pytest.mark.parametrize(
    ("label", "reason"),
    [(Label.PARAMETER_SENSITIVITY, "parameter values"), (Label.DATA_GROWTH, "handles more data")],
)
def test_a_label_other_than_a_plan_regression_is_a_review(label, reason):
    found = forced(replace(PLAN_REGRESSION, label=label))
    assert found.kind == "review_plans"
    assert reason in found.rationale


def test_all_reasons_against_are_told_at_once():
    found = forced_with(
        {"automatic tuning FORCE_LAST_GOOD_PLAN": "ON", "replica groups": "1: a, 2: b"}, rows=RowsPerExecution(1, 500)
    )
    assert all(word in found.rationale for word in ("small inputs", "left to the engine", "secondary replicas"))


def test_a_plan_whose_index_is_gone_is_not_forced():
    old, new = captured("IX_Cust", indexes={"IX_Cust": "CREATE ..."}), captured("PK_Orders", indexes={})
    assert "IX_Cust, which is gone" in forced(old=old, new=new).rationale
    still_there = captured("PK_Orders", indexes={"IX_Cust": "CREATE ..."})
    assert forced(old=old, new=still_there).kind == "force_plan"


@pytest.mark.parametrize(
    "changed",
    [
        {"previous_plan_hash": 0},
        {"previous_plan_hash": -1},
        {"label": Label.CONTENTION},
        {"label": Label.UNKNOWN},
        {"database": ""},
        {"scope": IncidentScope.INSTANCE},
    ],
)
def test_without_a_changed_plan_there_is_nothing_to_say(changed):
    assert forced(replace(PLAN_REGRESSION, **changed)) is None


@pytest.mark.parametrize(("dialect", "is_there"), [(Engine.SQLSERVER, True), (Engine.POSTGRES, False)])
def test_forcing_is_suggested_for_sql_server_only(dialect, is_there):
    found = suggest(PLAN_REGRESSION, old=None, new=None, statement=None, dialect=dialect, now=NOW)
    assert ("force_plan" in [one.kind for one in found]) == is_there


def test_present_facts_and_rows_reach_the_decision():
    options = {"old": None, "new": None, "statement": None, "dialect": Engine.SQLSERVER, "now": NOW}
    (owned,) = suggest(PLAN_REGRESSION, present={"automatic tuning FORCE_LAST_GOOD_PLAN": "ON"}, **options)
    (grown,) = suggest(PLAN_REGRESSION, rows=RowsPerExecution(1, 1000), **options)
    assert "left to the engine" in owned.rationale
    assert "small inputs" in grown.rationale
