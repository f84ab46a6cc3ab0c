from datetime import timedelta

import pytest

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline_tests.settings.support import load

FLEET = """
collection: {top_n: 10, max_plans: 11, min_executions: 12, budget_per_database: 13s}
analysis: {min_extra_seconds_per_hour: 1}
defaults:
  collection: {max_plans: 21, min_executions: 22, budget_per_database: 23s}
  regression: {cpu_percent: 60, reads_percent: 61}
  analysis: {min_extra_seconds_per_hour: 2}
instances:
  - name: a
    engine: postgres
    server: h
    collection: {min_executions: 32, budget_per_database: 33s}
    regression: {reads_percent: 71}
    analysis: {min_extra_seconds_per_hour: 3}
    databases:
      - plain
      - {name: own, collection: {budget_per_database: 43s}, regression: {duration_percent: 80},
         analysis: {min_extra_seconds_per_hour: 4}}
  - {name: b, engine: simulated, databases: 3}
"""


@pytest.fixture
def fleet(tmp_path):
    return load(tmp_path, FLEET)


def test_the_innermost_value_wins_key_by_key(fleet):
    own = fleet.for_database("a", "own")

    assert own.collection.top_n == 10
    assert own.collection.max_plans == 21
    assert own.collection.min_executions == 32
    assert own.collection.budget_per_database == timedelta(seconds=43)
    assert (own.regression.cpu_percent, own.regression.reads_percent, own.regression.duration_percent) == (60, 71, 80)
    assert own.analysis.min_extra_seconds_per_hour == 4


def test_fleet_wide_keys_stay_beside_the_resolved_ones(fleet):
    assert fleet.for_database("a", "own").collection.interval == fleet.collection.interval
    assert fleet.for_database("a", "own").analysis.detector == fleet.analysis.detector


def test_a_database_without_overrides_has_what_its_instance_has(fleet):
    plain = fleet.for_database("a", "plain")

    assert plain.collection.budget_per_database == timedelta(seconds=33)
    assert plain.regression.reads_percent == 71
    assert plain.analysis.min_extra_seconds_per_hour == 3
    assert (plain.instance, plain.database) == ("a", "plain")


def test_a_discovered_database_has_what_its_instance_has(fleet):
    assert fleet.for_database("a", "found").collection is fleet.for_database("a", "plain").collection


def test_another_instance_has_the_defaults(fleet):
    other = fleet.for_database("b", "any")

    assert other.collection.min_executions == 22
    assert other.analysis.min_extra_seconds_per_hour == 2


def test_the_answer_is_remembered(fleet):
    assert fleet.for_database("a", "own") is fleet.for_database("a", "own")


@pytest.mark.parametrize("ask", [lambda fleet: fleet.instance("aa"), lambda fleet: fleet.for_database("aa", "x")])
def test_an_unknown_instance_is_named_with_those_there_are(fleet, ask):
    with pytest.raises(SettingsError, match=r"^instance 'aa' is not in the settings; did you mean a\?$"):
        ask(fleet)


def test_what_a_discovered_database_is_measured_against(tmp_path):
    selection = (
        load(
            tmp_path,
            """
            instances:
              - name: a
                engine: postgres
                server: h
                databases: {discover: true, include: ["^app_", "^Sales$"], exclude: ["_old$"]}
            """,
        )
        .instance("a")
        .databases
    )

    assert [name for name in ("app_1", "my_app_1", "Sales", "Sales2", "app_old") if selection.accepts(name)] == [
        "app_1",
        "Sales",
    ]


def test_databases_that_are_not_mentioned_are_discovered_or_one_simulated(tmp_path):
    settings = load(tmp_path, "instances: [{name: a, engine: postgres, server: h}, {name: b, engine: simulated}]")

    assert settings.instance("a").databases.discover
    assert settings.instance("b").databases.count == 1


def test_encryption_takes_the_words_of_older_drivers(tmp_path):
    text = "instances: [{{name: a, engine: sqlserver, server: h, login: {{integrated: true}}, encrypt: {0}}}]"

    assert load(tmp_path, text.format("true")).instance("a").encrypt == "mandatory"
    assert load(tmp_path, text.format("no")).instance("a").encrypt == "optional"
    assert load(tmp_path, text.format("strict")).instance("a").encrypt == "strict"


def test_planner_settings_become_text_the_server_takes(tmp_path):
    options = "{planner: {work_mem: 64MB, random_page_cost: 1.1, jit: false, from_collapse_limit: 4}}"
    settings = load(tmp_path, f"instances: [{{name: a, engine: postgres, server: h, options: {options}}}]")

    assert settings.instance("a").options.planner == {
        "work_mem": "64MB",
        "random_page_cost": "1.1",
        "jit": "off",
        "from_collapse_limit": "4",
    }
