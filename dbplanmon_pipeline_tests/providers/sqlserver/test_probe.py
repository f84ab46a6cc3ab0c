"""What a server tells of itself; what does not depend on how values come over the wire is asked through one driver."""

from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing
from dbplanmon_pipeline.providers.sqlserver.capability_items import capabilities_of, require_readable
from dbplanmon_pipeline.providers.sqlserver.editions import EngineEdition
from dbplanmon_pipeline.providers.sqlserver.probe import ReplicaRole, ServerFacts, read_server_facts, started_at
from dbplanmon_pipeline.providers.sqlserver.query_store_state import QueryStoreState
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import (
    NEEDS_SERVER,
    NOW,
    OPTIONS,
    RIGHTS,
    UP,
    Pretended,
    asked,
    azure,
    box_2019,
)

NO_RIGHTS = dict.fromkeys(RIGHTS, 0)
GROUP = "6F9619FF-8B86-D011-B42D-00C04FC964FF"


def probed(pretended: Pretended, driver) -> ServerFacts:
    return asked(pretended, driver, lambda session: read_server_facts(session, lambda: NOW))


def missing(facts: ServerFacts) -> dict[str, str]:
    return {item.name: item.remedy for item in capabilities_of(facts).missing}


def test_a_box_tells_what_it_is(driver):
    facts = probed(Pretended(), driver)
    assert (facts.version, facts.version_number, facts.release) == ("16.0.4135.4", 16_00_4135, "2022")
    assert (facts.engine_edition, facts.is_rds, facts.role) == (EngineEdition.BOX, False, ReplicaRole.STANDALONE)
    assert (facts.login, facts.database) == ("mon", "shop")
    assert facts.started_at == NOW - UP
    assert facts.clock_skew_seconds == 0
    assert facts.identity == "created 2025-03-01 08:30:00, fork 0f8fad5b-d9cb-469f-a165-70867728950e"
    assert facts.properties.compatibility_level == 150
    assert facts.query_store == QueryStoreState(
        "READ_WRITE", "READ_WRITE", 0, 420, 1000, 900, 60, 30, 200, "AUTO", "AUTO", keeps_waits=True
    )
    assert facts.refused == {}
    assert missing(facts) == {}


@pytest.mark.parametrize(
    ("version", "there", "not_there"),
    [
        ("13.0.4001.0", set(), {"dm_exec_query_stats.total_spills", "query_store_runtime_stats.avg_tempdb_space_used"}),
        ("13.0.5026.0", {"dm_exec_query_stats.total_spills"}, {"query_store_plan.plan_forcing_type_desc"}),
        ("14.0.3456.2", {"query_store_runtime_stats.avg_tempdb_space_used"}, {"query_store_plan.plan_type_desc"}),
        ("15.0.4430.1", {"query_store_wait_stats.total_query_wait_time_ms"}, {"query_store_plan.plan_type_desc"}),
        ("16.0.1000.6", {"query_store_runtime_stats.replica_group_id"}, {"query_store_replicas.role_type"}),
        ("17.0.1000.7", {"query_store_replicas.role_type"}, set()),
    ],
)
def test_columns_of_the_version_are_told(driver, version, there, not_there):
    facts = probed(Pretended(version=version), driver)
    assert there <= facts.columns
    assert not not_there & facts.columns
    assert facts.refused == {}


def test_2016_keeps_no_waits_and_that_is_no_fault(microsoft):
    facts = probed(Pretended(version="13.0.6300.2"), microsoft)
    assert facts.query_store.keeps_waits is None
    assert missing(facts) == {}


@pytest.mark.parametrize(
    ("engine_edition", "kind", "offers_2025"),
    [
        (5, EngineEdition.AZURE_SQL_DB, True),
        (8, EngineEdition.MANAGED_INSTANCE, False),
        (12, EngineEdition.FABRIC, True),
    ],
)
def test_the_cloud_calls_itself_version_12_and_has_the_new_views(driver, engine_edition, kind, offers_2025):
    facts = probed(azure(engine_edition=engine_edition), driver)
    assert (facts.engine_edition, facts.version_number) == (kind, 12_00_2000)
    assert facts.offers("2022")
    assert facts.offers("2025") is offers_2025
    assert facts.release == ""
    assert missing(facts) == {}


def test_azure_is_not_asked_for_what_it_lacks(driver):
    facts = probed(azure(), driver)
    assert facts.refused == {}
    assert facts.identity == "created 2025-03-01 08:30:00"


def test_a_view_that_is_not_there_costs_no_more_than_itself(microsoft):
    lacks = ("sys.database_recovery_status", "sys.database_query_store_options")
    facts = probed(Pretended(engine_edition=8, version="12.0.2000.8", lacks=lacks), microsoft)
    assert set(facts.refused) == {"recovery_fork", "query_store_options"}
    assert facts.identity == "created 2025-03-01 08:30:00"
    assert facts.query_store is None


def test_amazon_is_told_by_its_own_database(microsoft):
    facts = probed(Pretended(scalars={"DB_ID('rdsadmin')": 6}, rights=NO_RIGHTS), microsoft)
    assert facts.is_rds
    assert missing(facts)["read_plan_cache"] == "Run GRANT VIEW SERVER STATE TO [mon]; in master."
    assert capabilities_of(facts).facts["engine_edition"] == "SQL Server in Amazon RDS"


def test_too_old_is_refused_in_one_line(microsoft):
    with pytest.raises(FeatureUnavailable, match=r"SQL Server 12\.0\.6024\.0 is too old.* 2016 or newer is needed"):
        probed(Pretended(version="12.0.6024.0"), microsoft)


@pytest.mark.parametrize("engine_edition", [6, 9, 11])
def test_kin_of_sql_server_that_are_no_sql_server_are_refused(microsoft, engine_edition):
    with pytest.raises(FeatureUnavailable, match="is not supported"):
        probed(Pretended(engine_edition=engine_edition), microsoft)


@pytest.mark.parametrize(
    ("pretended", "remedy"),
    [
        (
            Pretended(rights={**dict.fromkeys(RIGHTS, 1), "server": 0, "server_performance": 0}),
            "Run GRANT VIEW SERVER PERFORMANCE STATE TO [mon]; in master.",
        ),
        (
            box_2019(rights={"server": 0, "server_performance": None, "database": 1, "database_performance": None}),
            "Run GRANT VIEW SERVER STATE TO [mon]; in master.",
        ),
        (
            azure(denied=dict.fromkeys(NEEDS_SERVER, 297)),
            (
                "Run GRANT VIEW DATABASE STATE TO [mon]; in this database; on the smallest service tiers run "
                "ALTER SERVER ROLE ##MS_ServerStateReader## ADD MEMBER [mon]; in master instead."
            ),
        ),
    ],
    ids=["2022", "2019", "azure"],
)
@pytest.mark.parametrize("number", [300, 297, 229])
def test_a_missing_server_right_costs_no_more_than_itself(driver, pretended, remedy, number):
    pretended.denied = dict.fromkeys(NEEDS_SERVER, number)
    facts = probed(pretended, driver)
    assert facts.started_at is None
    assert set(facts.refused) == {"server_start"}
    assert facts.query_store.records
    assert missing(facts) == {"read_plan_cache": remedy}


@pytest.mark.parametrize(
    ("pretended", "remedy"),
    [
        (Pretended(rights=NO_RIGHTS), "Run GRANT VIEW DATABASE PERFORMANCE STATE TO [mon]; in this database."),
        (
            box_2019(rights={"server": 0, "server_performance": None, "database": 0, "database_performance": None}),
            "Run GRANT VIEW DATABASE STATE TO [mon]; in this database.",
        ),
        (azure(rights=NO_RIGHTS), "Run GRANT VIEW DATABASE STATE TO [mon]; in this database."),
    ],
    ids=["2022", "2019", "azure"],
)
def test_without_any_right_the_database_is_refused_with_the_grant(driver, pretended, remedy):
    pretended.denied = dict.fromkeys((*NEEDS_SERVER, "sys.database_query_store_options"), 300)
    facts = probed(pretended, driver)
    assert facts.query_store is None
    assert missing(facts)["read_query_store"] == remedy
    with pytest.raises(PermissionMissing) as caught:
        require_readable(facts, "sql1/shop")
    assert caught.value.remedy == remedy


def test_the_narrow_right_of_2022_is_enough(microsoft):
    rights = {**NO_RIGHTS, "server_performance": 1, "database_performance": 1}
    facts = probed(Pretended(rights=rights), microsoft)
    assert set(missing(facts)) == {"read_indexes"}
    require_readable(facts, "sql1/shop")


@pytest.mark.parametrize(
    ("pretending", "remedy"),
    [
        (
            Pretended,
            (
                "Run GRANT VIEW DEFINITION TO [mon]; in this database, where it needs a user, "
                "or GRANT VIEW ANY DEFINITION TO [mon]; in master for all databases."
            ),
        ),
        (azure, "Run GRANT VIEW DEFINITION TO [mon]; in this database."),
    ],
    ids=["box", "azure"],
)
def test_definitions_are_optional_and_their_right_is_named(microsoft, pretending, remedy):
    facts = probed(pretending(rights={**dict.fromkeys(RIGHTS, 1), "definitions": 0}), microsoft)
    assert missing(facts) == {"read_indexes": remedy}
    (item,) = capabilities_of(facts).missing
    assert item.detail == "optional: login mon may not see all tables, so an index that is gone may stay unnamed"
    require_readable(facts, "sql1/shop")


@pytest.mark.parametrize(
    ("options", "words", "remedy"),
    [
        ({"actual_state_desc": "OFF", "desired_state_desc": "OFF"}, "OFF", "SET QUERY_STORE = ON (OPERATION_MODE"),
        ({"actual_state_desc": "ERROR"}, "ERROR", "EXEC [shop].sys.sp_query_store_consistency_check;"),
        (
            {"actual_state_desc": "READ_ONLY", "readonly_reason": 65536, "current_storage_size_mb": 1001},
            "READ_ONLY (size limit reached)",
            "(OPERATION_MODE = READ_WRITE, MAX_STORAGE_SIZE_MB = 2000)",
        ),
        (
            {"actual_state_desc": "READ_ONLY", "readonly_reason": 131072},
            "READ_ONLY (too many statements for its memory)",
            "when this is over: too many statements for its memory",
        ),
        (
            {"actual_state_desc": "READ_ONLY", "desired_state_desc": "READ_ONLY"},
            "READ_ONLY (set so)",
            "SET QUERY_STORE (OPERATION_MODE = READ_WRITE);",
        ),
        ({"query_capture_mode_desc": "NONE"}, "READ_WRITE", "SET QUERY_STORE (QUERY_CAPTURE_MODE = AUTO);"),
    ],
)
def test_a_query_store_that_does_not_record_comes_with_the_way_out(microsoft, options, words, remedy):
    facts = probed(Pretended(options=OPTIONS | options), microsoft)
    assert facts.query_store.words == words
    assert not facts.query_store.records
    assert remedy in missing(facts)["query_store"]


def test_remedies_ask_a_version_for_nothing_it_lacks(microsoft):
    off = OPTIONS | {"actual_state_desc": "OFF"}
    old = missing(probed(Pretended(version="13.0.6300.2", options=off), microsoft))["query_store"]
    new = missing(probed(Pretended(options=off), microsoft))["query_store"]
    assert "WAIT_STATS_CAPTURE_MODE" not in old
    assert "WAIT_STATS_CAPTURE_MODE = ON" in new


def test_a_nearly_full_query_store_and_waits_that_are_off_are_told(microsoft):
    options = OPTIONS | {"current_storage_size_mb": 905, "wait_stats_capture_mode_desc": "OFF"}
    assert missing(probed(Pretended(options=options), microsoft)) == {
        "query_store_room": "Run ALTER DATABASE [shop] SET QUERY_STORE (MAX_STORAGE_SIZE_MB = 2000);",
        "query_store_waits": "Run ALTER DATABASE [shop] SET QUERY_STORE (WAIT_STATS_CAPTURE_MODE = ON);",
    }


@pytest.mark.parametrize(("primary", "role"), [(True, ReplicaRole.PRIMARY), (False, ReplicaRole.SECONDARY)])
def test_a_group_tells_the_role_and_keeps_its_identity_over_a_failover(driver, primary, role):
    states = [
        {"database_id": 5, "is_local": False, "is_primary_replica": not primary},
        {"database_id": 5, "is_local": True, "is_primary_replica": primary},
    ]
    pretended = Pretended(database={"group_database_id": GROUP}, rows={"sys.dm_hadr_database_replica_states": states})
    facts = probed(pretended, driver)
    assert facts.role is role
    assert facts.identity == f"group {GROUP.lower()}"


def test_the_forwarder_of_a_distributed_group_is_a_secondary(microsoft):
    states = [{"database_id": 5, "is_local": True, "is_primary_replica": primary} for primary in (True, False)]
    pretended = Pretended(
        database={"group_database_id": GROUP},
        rows={"sys.dm_hadr_database_replica_states": states},
        scalars={"DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_ONLY"},
    )
    assert probed(pretended, microsoft).role is ReplicaRole.SECONDARY


@pytest.mark.parametrize("states", [(True, False), (None, False)], ids=str)
def test_one_group_that_says_secondary_is_enough_for_a_read_only_database(microsoft, states):
    rows = [{"database_id": 5, "is_local": True, "is_primary_replica": primary} for primary in states]
    pretended = Pretended(
        database={"group_database_id": GROUP, "is_read_only": True},
        rows={"sys.dm_hadr_database_replica_states": rows},
        scalars={"DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_ONLY"},
    )
    assert probed(pretended, microsoft).role is ReplicaRole.SECONDARY


def test_a_secondary_is_known_without_the_right_to_ask_the_group(microsoft):
    pretended = Pretended(
        database={"group_database_id": GROUP},
        scalars={"DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_ONLY"},
        denied=dict.fromkeys(NEEDS_SERVER, 300),
    )
    assert probed(pretended, microsoft).role is ReplicaRole.SECONDARY


@pytest.mark.parametrize("state", ["READ_ONLY", "READ_CAPTURE_SECONDARY"])
def test_query_store_of_a_secondary_records_at_its_primary(microsoft, state):
    options = OPTIONS | {"desired_state_desc": state, "actual_state_desc": state, "readonly_reason": 8}
    facts = probed(Pretended(options=options), microsoft)
    assert facts.query_store.words == "READ_ONLY (secondary replica)"
    assert missing(facts) == {}


def test_a_secondary_sends_its_administrator_to_the_primary(microsoft):
    pretended = Pretended(
        rights=NO_RIGHTS,
        options=OPTIONS | {"actual_state_desc": "OFF"},
        scalars={"DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_ONLY"},
    )
    found = missing(probed(pretended, microsoft))
    assert found["query_store"] == "Turn Query Store on at the primary replica."
    assert found["read_query_store"].endswith("TO [mon]; in this database at its primary replica.")
    assert "TO [mon]; in this database at its primary replica, " in found["read_indexes"]


def test_a_read_only_database_is_no_secondary(microsoft):
    pretended = Pretended(
        database={"is_read_only": True},
        scalars={"DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_ONLY"},
    )
    assert probed(pretended, microsoft).role is ReplicaRole.STANDALONE


def test_a_clock_that_goes_wrong_is_told(driver):
    facts = probed(Pretended(skew=timedelta(seconds=-90)), driver)
    assert facts.clock_skew_seconds == pytest.approx(-90)
    found = next(item for item in capabilities_of(facts).items if item.name == "clock")
    assert (found.available, found.detail) == (False, "the clock of the server is 90 s behind ours")


@pytest.mark.parametrize("zone_hours", [-9.5, -5, 0, 1, 5.75, 13])
@pytest.mark.parametrize("drift_ms", [-90_000, -1_500, 0, 1_500, 90_000])
def test_the_start_of_a_server_is_the_same_at_every_reading(zone_hours, drift_ms):
    start = datetime(2026, 3, 28, 12, 0, 7, 930_000, tzinfo=UTC)
    local_ms = int((start.timestamp() + zone_hours * 3600) * 1000)
    uptime_ms = int((NOW - start).total_seconds() * 1000) + drift_ms
    assert started_at(NOW, uptime_ms, local_ms) == start.replace(microsecond=0)


def test_a_query_store_on_azure_grows_to_what_azure_allows(microsoft):
    options = OPTIONS | {"current_storage_size_mb": 9_900, "max_storage_size_mb": 10_000}
    found = missing(probed(azure(options=options), microsoft))
    assert found["query_store_room"] == "Run ALTER DATABASE [shop] SET QUERY_STORE (MAX_STORAGE_SIZE_MB = 10240);"
