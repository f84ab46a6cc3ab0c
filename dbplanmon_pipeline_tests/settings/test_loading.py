import logging
import pickle
from datetime import UTC, time, timedelta
from pathlib import Path
from time import process_time

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import Settings, load_settings
from dbplanmon_pipeline_tests.settings.support import complaints, load, write


def test_no_file_means_defaults_and_no_instances(tmp_path):
    settings = load_settings(environ={}, cwd=tmp_path)

    assert settings.instances == ()
    assert settings.collection.interval == timedelta(minutes=5)
    assert settings.baselines.time == time(2, tzinfo=UTC)
    assert settings.environment == "production"


def test_the_argument_wins_over_the_variable_and_the_working_directory(tmp_path):
    write(tmp_path, "collection: {top_n: 1}")
    named = write(tmp_path, "collection: {top_n: 2}", "two.yaml")
    given = write(tmp_path, "collection: {top_n: 3}", "three.yaml")
    environ = {"DBPLANMON_CONFIG": str(named)}

    assert load_settings(environ={}, cwd=tmp_path).collection.top_n == 1
    assert load_settings(environ=environ, cwd=tmp_path).collection.top_n == 2
    assert load_settings(given, environ=environ, cwd=tmp_path).collection.top_n == 3


def test_a_relative_path_counts_from_the_working_directory(tmp_path):
    write(tmp_path, "collection: {top_n: 4}", "four.yaml")

    assert load_settings(Path("four.yaml"), environ={}, cwd=tmp_path).collection.top_n == 4


def test_the_overlay_of_the_environment_merges_mappings_and_replaces_lists(tmp_path):
    write(
        tmp_path,
        """
        environment: development
        collection: {top_n: 10, shards: 2}
        alerts: {channels: [{type: log}, {type: log, name: second}]}
        """,
    )
    write(
        tmp_path, "{collection: {top_n: 20}, alerts: {channels: [{type: log, name: only}]}}", "dbplanmon.staging.yaml"
    )

    settings = load_settings(environ={"DBPLANMON_ENVIRONMENT": "staging"}, cwd=tmp_path)

    assert settings.environment == "staging"
    assert (settings.collection.top_n, settings.collection.shards) == (20, 2)
    assert [channel.name for channel in settings.alerts.channels] == ["only"]


def test_an_overlay_alone_is_read(tmp_path):
    write(tmp_path, "collection: {top_n: 20}", "dbplanmon.test.yaml")

    assert load_settings(environ={"DBPLANMON_ENVIRONMENT": "test"}, cwd=tmp_path).collection.top_n == 20


def test_a_key_without_a_value_in_the_overlay_goes_back_to_the_default(tmp_path):
    write(tmp_path, "{collection: {top_n: 10}, retention: {logs: 5d}}")
    write(tmp_path, "{collection: {top_n: }, retention: }", "dbplanmon.test.yaml")

    settings = load_settings(environ={"DBPLANMON_ENVIRONMENT": "test"}, cwd=tmp_path)

    assert (settings.collection.top_n, settings.retention.logs) == (50, timedelta(days=30))


def test_variables_win_over_file_and_overlay(tmp_path):
    write(tmp_path, "collection: {top_n: 10}")
    write(tmp_path, "collection: {top_n: 20}", "dbplanmon.test.yaml")
    environ = {
        "DBPLANMON_ENVIRONMENT": "test",
        "DBPLANMON_COLLECTION__TOP_N": "80",
        "DBPLANMON_DEFAULTS__REGRESSION__CPU_PERCENT": "75.5",
        "DBPLANMON_SCHEDULES__SUMMARY": "false",
        "DBPLANMON_SUMMARY__TIME": "10:30",
        "DBPLANMON_STORE__URL": "env:ELSEWHERE",
        "DBPLANMON_COLLECTION__SHARDS": "",
    }

    settings = load_settings(environ=environ, cwd=tmp_path)

    assert settings.collection.top_n == 80
    assert settings.defaults.regression.cpu_percent == 75.5
    assert settings.schedules.summary is False
    assert settings.summary.time == time(10, 30, tzinfo=UTC)
    assert settings.store_url({"ELSEWHERE": "sqlite:///x.db"}) == "sqlite:///x.db"
    assert settings.collection.shards == 1


def test_a_variable_reaches_an_item_of_a_list_and_may_hold_one(tmp_path):
    environ = {
        "DBPLANMON_INSTANCES__0__PORT": "5433",
        "DBPLANMON_INSTANCES__0__DATABASES": "[a, {name: b}]",
        "DBPLANMON_INSTANCES__1__DATABASES": "7",
    }

    settings = load(
        tmp_path, "instances: [{name: a, engine: postgres, server: h}, {name: b, engine: simulated}]", environ
    )

    assert settings.instance("a").port == 5433
    assert settings.instance("a").databases.names == ("a", "b")
    assert settings.instance("b").databases.count == 7


def test_variables_that_are_no_settings_are_left_alone(tmp_path):
    environ = {
        "DBPLANMON_TEST__POSTGRES": "x",
        "DBPLANMON_LOG__LEVEL": "x",
        "DBPLANMON_LOG_FORMAT": "json",
        "DBPLANMON_STORE_URL": "sqlite:///y.db",
        "OTHER__KEY": "x",
    }

    assert load_settings(environ=environ, cwd=tmp_path).store_url(environ) == "sqlite:///y.db"


def test_a_variable_with_one_underscore_too_few_is_pointed_out(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        load_settings(environ={"DBPLANMON_COLLECTION_TOP_N": "80", "DBPLANMON_STORE_URL": "x"}, cwd=tmp_path)

    assert [record.getMessage() for record in caplog.records] == [
        "environment variable DBPLANMON_COLLECTION_TOP_N is not read; did you mean DBPLANMON_COLLECTION__TOP_N?"
    ]


@pytest.mark.parametrize(
    ("environ", "text", "expected"),
    [
        ({"DBPLANMON_STATE": "/var/state", "DAGSTER_HOME": "/home/d"}, "state_dir: kept", "/var/state"),
        ({"DAGSTER_HOME": "/home/d"}, "state_dir: kept", "{folder}/kept"),
        ({"DAGSTER_HOME": "/home/d"}, "environment: test", "/home/d/.dbplanmon"),
        ({}, "environment: test", "{folder}/.dbplanmon"),
    ],
    ids=["variable", "file", "dagster home", "beside the file"],
)
def test_the_state_folder_has_an_order_of_precedence(tmp_path, environ, text, expected):
    assert str(load(tmp_path, text, environ).state_dir) == expected.format(folder=tmp_path)


def test_the_state_folder_lies_beside_a_named_file(tmp_path):
    (tmp_path / "etc").mkdir()
    path = write(tmp_path / "etc", "environment: test")

    assert load_settings(path, environ={}, cwd=tmp_path).state_dir == tmp_path / "etc" / ".dbplanmon"


def test_the_store_is_sqlite_in_the_state_folder_unless_told_otherwise(tmp_path):
    settings = load(tmp_path, "environment: test")
    chosen = load(tmp_path, "store: {url: env:MY_STORE}")

    assert settings.store_url({}) == f"sqlite:///{tmp_path}/.dbplanmon/store.db"
    assert settings.store_url({"DBPLANMON_STORE_URL": "postgresql://h/d"}) == "postgresql://h/d"
    assert chosen.store_url({"DBPLANMON_STORE_URL": "no", "MY_STORE": "yes"}) == "yes"


def test_effective_settings_are_plain_values_with_their_sources(tmp_path):
    settings = load(
        tmp_path,
        """
        environment: test
        collection:
          top_n: 7
        instances:
          - {name: a, engine: postgres, server: h, login: {user: u, password: env:PW}}
        """,
        {"DBPLANMON_COLLECTION__SHARDS": "3"},
    )

    effective = settings.effective()

    assert effective["collection"]["interval"] == "5m"
    assert effective["instances"][0]["login"]["password"] == "env:PW"
    assert effective["sources"] == {
        "environment": "dbplanmon.yaml:2",
        "collection.top_n": "dbplanmon.yaml:4",
        "collection.shards": "environment variable DBPLANMON_COLLECTION__SHARDS",
        "instances": "dbplanmon.yaml:5",
    }


def test_settings_cannot_be_changed(tmp_path):
    settings = load_settings(environ={}, cwd=tmp_path)

    with pytest.raises(ValueError, match="frozen"):
        settings.collection.top_n = 3


def test_settings_may_be_built_in_code():
    settings = Settings(instances=[{"name": "a", "engine": "simulated", "databases": 3}])

    assert settings.instance("a").engine is Engine.SIMULATED
    assert settings.instance("a").databases.count == 3


def test_settings_survive_a_process_border(tmp_path):
    settings = load(tmp_path, "instances: [{name: a, engine: postgres, server: h, login: {user: u, password: env:P}}]")

    copy = pickle.loads(pickle.dumps(settings))

    assert copy == settings
    assert copy.instance("a").login.password.resolve({"P": "x"}) == "x"


def test_settings_built_in_code_obey_the_rules_between_keys():
    with pytest.raises(ValueError, match="server: is required"):
        Settings(instances=[{"name": "a", "engine": "postgres"}])
    with pytest.raises(ValueError, match=r"instances\[1\]\.name: repeats"):
        Settings(instances=[{"name": "a", "engine": "simulated"}, {"name": "a", "engine": "simulated"}])


def test_a_file_named_by_the_variable_must_exist(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"DBPLANMON_CONFIG": "gone.yaml"}, cwd=tmp_path)

    assert str(caught.value) == "gone.yaml: does not exist; `dbplanmon init` writes an example"


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "etc").mkdir()

    with pytest.raises(SettingsError, match=r"^etc: is a folder; name the settings file in it$"):
        load_settings(Path("etc"), environ={}, cwd=tmp_path)


def test_another_ending_is_pointed_out(tmp_path):
    write(tmp_path, "environment: test", "dbplanmon.yml")

    with pytest.raises(SettingsError, match=r"rename it to dbplanmon\.yaml"):
        load_settings(environ={}, cwd=tmp_path)


def test_errors_name_the_layer_a_value_came_from(tmp_path):
    write(tmp_path, "collection: {top_n: 0}", "dbplanmon.test.yaml")
    environ = {"DBPLANMON_ENVIRONMENT": "test", "DBPLANMON_COLLECTION__SHARDS": "many"}

    assert complaints(tmp_path, "\ncollection: {max_workers: 0}", environ) == [
        "dbplanmon.yaml:2: collection.max_workers: 0 is not right; expected a whole number, from 1 to 256",
        "dbplanmon.test.yaml:1: collection.top_n: 0 is not right; expected a whole number, from 1 to 10000",
        (
            'environment variable DBPLANMON_COLLECTION__SHARDS: collection.shards: "many" is not right; '
            "expected a whole number, from 1 to 1000"
        ),
    ]


def test_an_unknown_environment_is_refused(tmp_path):
    assert complaints(tmp_path, "{}", {"DBPLANMON_ENVIRONMENT": "prod"}) == [
        (
            "environment variable DBPLANMON_ENVIRONMENT: expected one of development, test, staging, production; "
            "did you mean production?"
        )
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DBPLANMON_COLECTION__TOP_N", "colection: unknown key; did you mean collection?"),
        ("DBPLANMON_COLLECTION__TOPN", "collection.topn: unknown key; did you mean top_n?"),
        ("DBPLANMON_COLLECTION__", "has an empty part; expected DBPLANMON_<SECTION>__<KEY>"),
        ("DBPLANMON_INSTANCES__1__PORT", "reaches into a list; expected the number of an existing item, from 0"),
        ("DBPLANMON_INSTANCES__A__PORT", "reaches into a list; expected the number of an existing item, from 0"),
    ],
)
def test_a_variable_that_fits_no_key_is_an_error(tmp_path, name, expected):
    text = "instances: [{name: a, engine: simulated}]"

    assert complaints(tmp_path, text, {name: "1"}) == [f"environment variable {name}: {expected}"]


def test_two_thousand_databases_load_quickly(tmp_path):
    lines = [f"      - {{name: db{number}, collection: {{top_n: {number % 90 + 1}}}}}" for number in range(1_000)]
    lines += [f"      - plain{number}" for number in range(1_000)]
    write(tmp_path, "instances:\n  - name: a\n    engine: postgres\n    server: h\n    databases:\n" + "\n".join(lines))
    started = process_time()
    settings = load_settings(environ={}, cwd=tmp_path)
    resolved = [settings.for_database("a", name) for name in settings.instance("a").databases.names]

    assert process_time() - started < 1.0
    assert resolved[89].collection.top_n == 90
    assert resolved[1_500].collection.top_n == 50
