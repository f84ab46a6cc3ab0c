import json

import pytest

from dbplanmon_pipeline.providers.sqlserver.facts import MOST_STATEMENT_FACTS, read_facts
from dbplanmon_pipeline.providers.sqlserver.probe import read_server_facts
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW, OPTIONS, Pretended, asked, azure, box_2019

STATEMENT, OTHER = bytes.fromhex("00000000000000aa"), bytes.fromhex("f0000000000000bb")
GOOD, BAD = bytes.fromhex("8000000000000001"), bytes.fromhex("0000000000000002")
SECRET = "4111-1111-1111-1111"


def facts_of(pretended: Pretended, driver, **more) -> dict[str, str]:
    return asked(
        pretended, driver, lambda session: read_facts(session, read_server_facts(session, lambda: NOW), **more)
    )


def queries(*hashes: bytes) -> list[dict]:
    return [{"query_id": number, "query_hash": value} for number, value in enumerate(hashes, 1)]


def plan(plan_id: int, query_id: int, plan_hash: bytes, **more) -> dict:
    return {"plan_id": plan_id, "query_id": query_id, "query_plan_hash": plan_hash, "is_forced_plan": False, **more}


def forced(plan_id: int, query_id: int, plan_hash: bytes, failures: int = 0, reason: str = "NONE") -> dict:
    told = {"force_failure_count": failures, "last_force_failure_reason_desc": reason}
    return plan(plan_id, query_id, plan_hash, is_forced_plan=True, **told)


def advice(score: int, regressed: int, recommended: int, state: str = "Active") -> dict:
    details = {"planForceDetails": {"queryId": 1, "regressedPlanId": regressed, "recommendedPlanId": recommended}}
    return {
        "type": "FORCE_LAST_GOOD_PLAN",
        "name": f"PR_{score}",
        "score": score,
        "state": json.dumps({"currentValue": state, "reason": "AutomaticTuningOptionNotEnabled"}),
        "details": json.dumps(details),
    }


def test_what_holds_of_a_quiet_database(driver):
    found = facts_of(Pretended(), driver)
    assert found == {
        "compatibility level": "150",
        "setting read_committed_snapshot": "on",
        "setting parameterization_forced": "off",
        "replica role": "standalone",
        "SQL Server version": "16.0.4135.4",
        "SQL Server edition": "Developer Edition (64-bit)",
        "server started": "2026-11-18T23:54:54Z",
        "database identity": "created 2025-03-01 08:30:00, fork 0f8fad5b-d9cb-469f-a165-70867728950e",
        "query store state": "READ_WRITE",
        "query store size": "40 % of 1000 MB",
    }


def test_settings_of_server_and_database_that_shape_plans(driver):
    rows = {
        "sys.configurations": [
            {"name": "max degree of parallelism", "value_in_use": "8"},
            {"name": "xp_cmdshell", "value_in_use": "0"},
        ],
        "sys.database_scoped_configurations": [
            {"name": "MAXDOP", "value": "4", "value_for_secondary": "2"},
            {"name": "LEGACY_CARDINALITY_ESTIMATION", "value": "0"},
            {"name": "LEDGER_DIGEST_STORAGE_ENDPOINT", "value": "https://somewhere"},
        ],
        "sys.database_automatic_tuning_options": [{"name": "FORCE_LAST_GOOD_PLAN", "actual_state_desc": "OFF"}],
    }
    found = facts_of(Pretended(rows=rows), driver)
    settings = {name: value for name, value in found.items() if name.startswith("setting ") and name[8:9] in "mML"}
    assert settings == {
        "setting max degree of parallelism": "8",
        "setting MAXDOP": "4",
        "setting LEGACY_CARDINALITY_ESTIMATION": "0",
    }
    assert found["automatic tuning FORCE_LAST_GOOD_PLAN"] == "OFF"


def test_a_secondary_has_settings_of_its_own(driver):
    rows = {
        "sys.database_scoped_configurations": [
            {"name": "MAXDOP", "value": "4", "value_for_secondary": "2"},
            {"name": "PARAMETER_SNIFFING", "value": "1"},
        ]
    }
    scalars = {"DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_ONLY"}
    found = facts_of(Pretended(rows=rows, scalars=scalars), driver)
    assert (found["replica role"], found["setting MAXDOP"]) == ("secondary", "2")
    assert found["setting PARAMETER_SNIFFING"] == "1"


def test_r_query_store_that_went_read_only_says_why(driver):
    options = OPTIONS | {"actual_state_desc": "READ_ONLY", "readonly_reason": 65536, "current_storage_size_mb": 1003}
    found = facts_of(Pretended(options=options), driver)
    assert found["query store state"] == "READ_ONLY (size limit reached)"
    assert found["query store size"] == "100 % of 1000 MB"


def test_r_query_store_that_is_off_holds_no_plans_to_tell_of(driver):
    rows = {"sys.query_store_query": queries(STATEMENT), "sys.query_store_plan": [forced(1, 1, GOOD)]}
    found = facts_of(Pretended(options=OPTIONS | {"actual_state_desc": "OFF"}, rows=rows), driver)
    assert found["query store state"] == "OFF"
    assert not any(name.startswith("forced plan") for name in found)


@pytest.mark.parametrize(("size", "told"), [(0, "0 %"), (99, "0 %"), (100, "10 %"), (899, "80 %"), (905, "90 %")])
def test_the_size_moves_in_steps(driver, size, told):
    found = facts_of(Pretended(options=OPTIONS | {"current_storage_size_mb": size}), driver)
    assert found["query store size"] == f"{told} of 1000 MB"


def test_a_query_store_without_limit_has_no_size_to_watch(driver):
    assert "query store size" not in facts_of(Pretended(options=OPTIONS | {"max_storage_size_mb": 0}), driver)


@pytest.mark.parametrize("version", ["13.0.6300.2", "16.0.4135.4"])
def test_forced_plans_with_their_failures(driver, version):
    rows = {
        "sys.query_store_query": queries(STATEMENT, OTHER, STATEMENT),
        "sys.query_store_plan": [
            forced(1, 1, GOOD),
            forced(2, 2, BAD, 3, "NO_INDEX"),
            forced(3, 3, GOOD, 1, "NO_PLAN"),
            plan(4, 1, BAD),
        ],
    }
    found = facts_of(Pretended(version=version, rows=rows), driver)
    assert {name: value for name, value in found.items() if name.startswith("forced plan")} == {
        "forced plan 00000000000000aa 8000000000000001": "forced, 1 failure: NO_PLAN",
        "forced plan f0000000000000bb 0000000000000002": "forced, 3 failures: NO_INDEX",
    }


def test_hints_are_told_without_their_values(driver):
    hints = [
        {"query_hint_id": 1, "query_id": 1, "query_hint_text": f"OPTION (OPTIMIZE FOR (@card = N'{SECRET}'))"},
        {"query_hint_id": 2, "query_id": 2, "query_hint_text": "OPTION (MAXDOP 1)", "query_hint_failure_count": 2},
    ]
    rows = {"sys.query_store_query": queries(STATEMENT, OTHER), "sys.query_store_query_hints": hints}
    found = facts_of(Pretended(rows=rows), driver)
    assert found["query hint 00000000000000aa"] == "OPTION (OPTIMIZE FOR (@card = ?))"
    assert found["query hint f0000000000000bb"] == "OPTION (MAXDOP ?), 2 failures"
    assert SECRET not in str(found)
    shown = facts_of(Pretended(rows=rows), driver, mask=lambda text: text[:6])
    assert shown["query hint 00000000000000aa"] == "OPTION"


def test_variants_of_a_parameter_sensitive_statement(driver):
    rows = {
        "sys.query_store_query": queries(STATEMENT, STATEMENT, STATEMENT),
        "sys.query_store_plan": [plan(9, 1, GOOD)],
        "sys.query_store_query_variant": [
            {"query_variant_query_id": number, "parent_query_id": 1, "dispatcher_plan_id": 9} for number in (2, 3)
        ],
    }
    found = facts_of(Pretended(rows=rows), driver)
    assert found["psp variants 00000000000000aa"] == "2 under dispatcher 8000000000000001"


def test_advice_of_the_engine_in_one_line(driver):
    rows = {
        "sys.query_store_query": queries(STATEMENT, OTHER),
        "sys.query_store_plan": [plan(1, 1, GOOD), plan(2, 1, BAD), plan(3, 2, GOOD)],
        "sys.dm_db_tuning_recommendations": [
            advice(40, regressed=2, recommended=1),
            advice(87, regressed=2, recommended=1),
            advice(5, regressed=77, recommended=3, state="Reverted"),
            advice(99, regressed=2, recommended=78),
            {"type": "FORCE_LAST_GOOD_PLAN", "name": "x", "score": 1, "state": "no json", "details": None},
            {"type": "CREATE_INDEX", "name": "y", "score": 1, "state": "{}", "details": "{}"},
        ],
    }
    found = facts_of(box_2019(rows=rows), driver)
    assert {name: value for name, value in found.items() if name.startswith("engine advice")} == {
        "engine advice 00000000000000aa": "score 87: force plan 8000000000000001 instead of 0000000000000002, Active "
        "(AutomaticTuningOptionNotEnabled)",
        "engine advice f0000000000000bb": "score 5: force plan 8000000000000001 instead of one that is gone, Reverted "
        "(AutomaticTuningOptionNotEnabled)",
    }


def test_replicas_whose_work_is_kept_apart(driver):
    groups = [{"replica_group_id": 1, "replica_name": "SQL1"}, {"replica_group_id": 2, "replica_name": None}]
    found = facts_of(Pretended(rows={"sys.query_store_replicas": groups}), driver)
    assert found["replica groups"] == "1: SQL1, 2"


def test_facts_of_statements_are_bounded(driver):
    hashes = [number.to_bytes(8, "big") for number in range(1, 301)]
    rows = {
        "sys.query_store_query": queries(*hashes),
        "sys.query_store_plan": [forced(number, number, GOOD) for number in range(1, 151)],
        "sys.query_store_query_hints": [
            {"query_hint_id": number, "query_id": number, "query_hint_text": "OPTION (RECOMPILE)"}
            for number in range(1, 301)
        ],
    }
    found = facts_of(Pretended(rows=rows), driver)
    kinds = [name.split(" ")[0] for name in found if name.startswith(("forced plan", "query hint"))]
    assert len(kinds) == MOST_STATEMENT_FACTS
    assert kinds.count("forced") == 150


@pytest.mark.parametrize(
    "pretended",
    [
        Pretended(denied={"sys.query_store_plan": 229, "sys.configurations": 229, "sys.query_store_replicas": 300}),
        Pretended(lacks=("sys.query_store_query_hints", "sys.database_automatic_tuning_options")),
        azure(lacks=("sys.configurations",)),
    ],
    ids=["denied", "lacking", "azure"],
)
def test_a_fact_that_cannot_be_read_is_left_out_and_no_reason_to_fail(driver, pretended):
    found = facts_of(pretended, driver)
    assert found["query store state"] == "READ_WRITE"
    assert found["compatibility level"] == "150"
