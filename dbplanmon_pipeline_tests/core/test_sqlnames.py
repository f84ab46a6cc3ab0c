import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.sqlnames import quote_name, quote_path, quote_value

NASTY = ["plain", "Mixed Case", 'a"b', "a]b", "it's", "select", "semi;colon", "back\\slash", "größe", "--x", "$1", "%s"]


@pytest.mark.parametrize(
    ("name", "dialect", "expected"),
    [
        ('a"b', Engine.POSTGRES, '"a""b"'),
        ("a]b", Engine.SQLSERVER, "[a]]b]"),
        ("a", Engine.SIMULATED, "[a]"),
    ],
)
def test_names_are_quoted_for_their_engine(name, dialect, expected):
    assert quote_name(name, dialect) == expected


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(ValueError, match="identifier"):
        quote_name(name, Engine.POSTGRES)


def test_a_value_with_a_nul_character_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        quote_value("a\0b")


def test_paths_quote_schema_and_table_apart():
    assert quote_path("public.t", Engine.POSTGRES) == '"public"."t"'
    assert quote_path("t", Engine.SQLSERVER) == "[t]"


@pytest.mark.parametrize("text", NASTY)
def test_a_real_server_reads_quoted_names_and_values_as_they_were(postgres_session, text):
    name, value = quote_name(text, Engine.POSTGRES), quote_value(text)
    row = postgres_session.execute(f"SELECT {value} AS {name}".encode())
    assert (row.description[0].name, row.fetchone()[0]) == (text, text)
