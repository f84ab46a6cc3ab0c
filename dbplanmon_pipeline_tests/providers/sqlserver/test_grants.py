import itertools
import re

import pytest

from dbplanmon_pipeline.providers.sqlserver.editions import RELEASES
from dbplanmon_pipeline.providers.sqlserver.grants import LoginKind, ServerKind, sqlserver_grants
from dbplanmon_pipeline_tests.support.tsql_parsers import unparsable

GRANT = re.compile(r"^GRANT (.+) TO (.+);$", re.MULTILINE)
READING = {
    "VIEW SERVER STATE",
    "VIEW SERVER PERFORMANCE STATE",
    "VIEW DATABASE STATE",
    "VIEW DATABASE PERFORMANCE STATE",
    "CONNECT ANY DATABASE",
}


def possible(kind: ServerKind, release: str, login: LoginKind, databases: tuple[str, ...]) -> str | None:
    user = r"CORP\mon" if login is LoginKind.WINDOWS else "mon"
    try:
        return sqlserver_grants(user, kind=kind, release=release, login=login, databases=databases)
    except ValueError:
        return None


SCRIPTS = [
    pytest.param(script, id=f"{kind}-{release}-{login}-{len(databases)}")
    for kind, release, login, databases in itertools.product(
        ServerKind, RELEASES, LoginKind, ((), ("shop",), ("shop", "o'dd"))
    )
    if (script := possible(kind, release, login, databases)) is not None
]


def granted(script: str) -> list[str]:
    return [right for right, _ in GRANT.findall(script)]


def test_every_server_has_a_script() -> None:
    assert len(SCRIPTS) > 100


@pytest.mark.parametrize("script", SCRIPTS)
def test_only_rights_to_look_are_given(script: str) -> None:
    code = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    assert set(granted(script)) <= READING
    assert not re.search(r"\b(DENY|ALTER|CONTROL|OWNER|db_\w+|sysadmin|WITH GRANT OPTION)\b", code)
    assert code.count("GRANT ") == len(granted(script))
    assert {who for _, who in GRANT.findall(script)} in ({"[mon]"}, {r"[CORP\mon]"})


BATCHES = sorted({batch for script in SCRIPTS for batch in str(script.values[0]).split("\nGO\n")})
"""Of all scripts; they share most of them."""


@pytest.mark.parametrize("batch", BATCHES, ids=range(len(BATCHES)))
def test_every_batch_is_t_sql(batch: str) -> None:
    # The parser does not know the newest rights yet.
    known = batch.replace(" PERFORMANCE STATE", " STATE").replace("CONNECT ANY DATABASE", "VIEW ANY DATABASE")
    assert unparsable(known.replace("$(DBPLANMON_PASSWORD)", "x")) == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_can_be_run_again(script: str) -> None:
    made = re.findall(r"CREATE (?:LOGIN|USER)", script)
    guarded = re.findall(r"^IF .*\bNULL\n    CREATE|^IF NOT EXISTS .*\n    EXEC \(N'CREATE", script, re.MULTILINE)
    assert len(made) == len(guarded) > 0


@pytest.mark.parametrize(
    ("release", "server_right", "database_right"),
    [
        ("2016", "VIEW SERVER STATE", "VIEW DATABASE STATE"),
        ("2019", "VIEW SERVER STATE", "VIEW DATABASE STATE"),
        ("2022", "VIEW SERVER PERFORMANCE STATE", "VIEW DATABASE PERFORMANCE STATE"),
        ("2025", "VIEW SERVER PERFORMANCE STATE", "VIEW DATABASE PERFORMANCE STATE"),
    ],
)
def test_from_2022_on_security_stays_unseen(release: str, server_right: str, database_right: str) -> None:
    assert granted(sqlserver_grants("mon", release=release, databases=["shop"])) == [server_right, database_right]


def test_without_names_every_database_may_be_entered() -> None:
    assert granted(sqlserver_grants("mon")) == ["VIEW SERVER PERFORMANCE STATE", "CONNECT ANY DATABASE"]


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ({}, ["VIEW ANY DEFINITION"]),
        ({"databases": ["shop", "books"]}, ["VIEW DEFINITION"] * 2),
        ({"kind": ServerKind.MANAGED_INSTANCE}, ["VIEW ANY DEFINITION"]),
        ({"kind": ServerKind.RDS, "databases": ["shop"]}, ["VIEW DEFINITION"]),
        ({"kind": ServerKind.AZURE_SQL_DB}, ["VIEW DEFINITION"]),
    ],
    ids=["all", "named", "managed", "rds", "azure"],
)
def test_the_right_to_definitions_is_offered_and_not_given(wanted: dict, offered: list[str]) -> None:
    script = sqlserver_grants("mon", **wanted)
    assert re.findall(r"^-- GRANT (.+) TO \[mon\];$", script, re.MULTILINE) == offered
    assert not any("DEFINITION" in right for right in granted(script))


def test_azure_gives_its_rights_inside_each_database() -> None:
    script = sqlserver_grants("mon", kind=ServerKind.AZURE_SQL_DB, databases=["shop", "books"])
    assert granted(script) == ["VIEW DATABASE STATE", "VIEW DATABASE STATE"]
    assert "the database [shop]" in script
    assert "USE [" not in script


def test_a_login_of_a_group_has_one_number_on_all_replicas() -> None:
    assert "SUSER_SID(N'mon')" in sqlserver_grants("mon")
    assert "SUSER_SID" not in sqlserver_grants(r"CORP\mon", login=LoginKind.WINDOWS)
    assert "SUSER_SID" not in sqlserver_grants("mon", kind=ServerKind.RDS, databases=["shop"])


def test_names_mean_themselves() -> None:
    script = sqlserver_grants("o'dd]", release="2019", databases=["a]b"])
    assert "CREATE USER [o'dd]]] FOR LOGIN [o'dd]]];" in script
    assert "IF SUSER_ID(N'o''dd]') IS NULL" in script
    assert "USE [a]]b];" in script


def test_the_name_inside_a_text_of_a_text_means_itself() -> None:
    script = sqlserver_grants("o'dd", kind=ServerKind.AZURE_SQL_DB)
    inner = re.search(r"EXEC \(N'((?:[^']|'')*)'\);", script)
    assert inner is not None
    assert inner[1].replace("''", "'").startswith("CREATE LOGIN [o'dd] WITH PASSWORD = N'")


def test_no_password_stands_in_the_script() -> None:
    assert "WITH PASSWORD = N'$(DBPLANMON_PASSWORD)'" in sqlserver_grants("mon")
    assert "PASSWORD" not in sqlserver_grants(r"CORP\mon", login=LoginKind.WINDOWS)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"user": "a\nGRANT CONTROL SERVER TO [a]"}, "printable"),
        ({"user": "$(x)"}, r"no \$\("),
        ({"user": ""}, "1 to 128"),
        ({"user": "m", "databases": ["d" * 129]}, "1 to 128"),
        ({"user": "m", "release": "2014"}, "known are 2016"),
        ({"user": "m", "login": LoginKind.WINDOWS}, r"DOMAIN\\name"),
        ({"user": r"C\m"}, "no other login has a backslash"),
        ({"user": r"C\m", "login": LoginKind.WINDOWS, "kind": ServerKind.AZURE_SQL_DB}, "no Windows logins"),
        ({"user": "m", "login": LoginKind.ENTRA, "release": "2019"}, "2022 and newer"),
        ({"user": "m", "kind": ServerKind.RDS}, "name each one"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(wanted: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sqlserver_grants(wanted.pop("user"), **wanted)
