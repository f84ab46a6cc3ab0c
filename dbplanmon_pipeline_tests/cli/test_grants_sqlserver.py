import pytest


def test_the_script_for_sql_server_is_printed(cli):
    script = cli("grants", "--engine", "sqlserver", "--version", "2019", "--database", "shop", "--database", "b").stdout
    assert "GRANT VIEW SERVER STATE TO [dbplanmon];" in script
    assert "USE [shop];" in script
    assert "USE [b];" in script


def test_json_holds_the_script(cli):
    told = cli.json("grants", "--engine", "sqlserver", "--edition", "azure-sql-db", "--user", "mon")
    assert (told["engine"], told["user"]) == ("sqlserver", "mon")
    assert "GRANT VIEW DATABASE STATE TO [mon];" in told["script"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--engine", "sqlserver", "--plans"), "this is for --engine postgres"),
        (("--edition", "rds"), "this is for --engine sqlserver"),
        (("--database", "shop"), "this is for --engine sqlserver"),
        (("--engine", "sqlserver", "--version", "2014"), "release 2014 is not known"),
        (("--engine", "sqlserver", "--edition", "rds"), "name each one to watch"),
    ],
)
def test_an_option_without_effect_is_refused(cli, arguments, words):
    done = cli("grants", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
