from dbplanmon_pipeline.providers.sqlserver.discovery import find_databases
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import Pretended, asked, azure


def test_discovery_leaves_out_what_is_not_the_users_and_what_is_not_open(driver):
    others = [
        {"name": "books", "state": 0, "is_distributor": False},
        {"name": "offline", "state": 6, "is_distributor": False},
        {"name": "distribution", "state": 0, "is_distributor": True},
        {"name": "books_snapshot", "state": 0, "is_distributor": False, "source_database_id": 9},
        {"name": "closed", "state": 0, "is_distributor": False},
        *({"name": name, "state": 0, "is_distributor": False} for name in ("master", "model", "msdb", "tempdb")),
    ]
    pretended = Pretended(rows={"sys.databases": others}, scalars={"HAS_DBACCESS": {"closed": 0}})
    assert asked(pretended, driver, find_databases, "master") == ["books", "shop"]


def test_discovery_on_azure_lists_the_logical_server(microsoft):
    pretended = azure(rows={"sys.databases": [{"name": "books", "state": 0}, {"name": "master", "state": 0}]})
    assert asked(pretended, microsoft, find_databases, "master") == ["books", "shop"]
