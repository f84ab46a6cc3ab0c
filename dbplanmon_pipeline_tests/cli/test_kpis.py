import pytest

from dbplanmon_pipeline_tests.cli.conftest import SETTINGS

KPIS = """\
kpis:
  - {name: busy, instance: fleet, database: sim0001, sql: SELECT executions, minimum: 1, interval: 1h}
  - {name: idle, instance: fleet, database: sim0001, sql: SELECT executions, maximum: 0, severity: high}
  - {name: writing, instance: fleet, database: sim0001, sql: DROP TABLE executions, maximum: 0}
"""


@pytest.fixture
def kpis(cli):
    cli.settings.write_text(SETTINGS.replace("failing: 1", "failing: 0") + KPIS)
    return cli


def test_a_reading_by_hand_counts_like_any_other(kpis):
    read = kpis.json("kpis", "run", "idle")
    assert (read["state"], read["alerts"], read["message"]) == ("breach", 1, "above the maximum of 0")
    (listed,) = [kpi for kpi in kpis.json("kpis", "list")["kpis"] if kpi["name"] == "idle"]
    assert listed["trouble"] == "breach"
    assert listed["latest"]["value"] == read["value"] > 0
    assert [found["value"] for found in kpis.json("kpis", "history", "idle")["results"]] == [read["value"]]


def test_what_is_listed_is_what_the_settings_name(kpis):
    kpis("kpis", "run", "busy")
    lines = kpis("kpis", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["kpi", "busy", "idle", "writing"]
    assert "not read yet" in lines[2]
    assert "at least 1" in lines[1]


def test_one_that_writes_is_refused_with_one_line(kpis):
    result = kpis("kpis", "run", "writing")
    assert result.exit_code == 1
    assert "refused: it does not begin with SELECT" in result.stdout
    assert "executions" not in result.stdout


@pytest.mark.parametrize("command", ["run", "history"])
def test_a_name_that_is_not_there_is_told_with_those_there_are(kpis, command):
    result = kpis("kpis", command, "bsy")
    assert result.exit_code == 1
    assert "there are: busy, idle, writing" in result.stderr


def test_without_kpis_the_list_says_where_they_go(cli):
    assert "under `kpis` in the settings" in cli("kpis", "list").stdout


@pytest.mark.parametrize(
    ("call", "keys"),
    [
        (("kpis", "list"), {"kpis"}),
        (
            ("kpis", "run", "busy"),
            {"name", "started_at", "duration_ms", "state", "value", "normal", "message", "alerts"},
        ),
        (("kpis", "history", "busy"), {"name", "results"}),
    ],
    ids=["list", "run", "history"],
)
def test_the_keys_of_the_json_are_the_documented_ones(kpis, call, keys):
    assert set(kpis.json(*call)) == keys
