import pytest

from dbplanmon_pipeline.providers.postgres.explainable import explainable, statement_kind


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("select now() - interval $1", "select now() -  $1::interval"),
        ("select x > timestamp with time zone $2", "select x >  $2::timestamp with time zone"),
        ("select extract($1 from placed)", 'select pg_catalog."extract"($1 , placed)'),
        ("select a = any(array[$1, $2])", "select a  in ($1, $2)"),
        ("select a = ANY (ARRAY[$1 /*, ... */])", "select a  in  ($1 )"),
        ("select a.date, $1", "select a.date, $1"),
        ("select 'interval $1', \"date $1\"", "select 'interval $1', \"date $1\""),
        ("select a = any($1)", "select a = any($1)"),
        ("select a = any(array[b, $1])", "select a = any(array[b, $1])"),
        ("select $$date $1; $$;", "select $$date $1; $$"),
    ],
)
def test_rewriting_touches_only_what_normalising_broke(text, rewritten):
    assert " ".join(explainable(text).text.split()) == " ".join(rewritten.split())


@pytest.mark.parametrize(
    "text", ["select 1; drop table t", "select $1; -- end\n select 2", "select /* ; */ 1 ; select 2"]
)
def test_two_statements_are_never_sent(text):
    assert explainable(text).reason == "more than one statement"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("/* a /* b */ c */ -- d\n SeLeCt 1", "select"),
        ("(select 1)", "select"),
        ("CREATE INDEX i ON t (a)", "create"),
        ("", ""),
        ("$1", ""),
    ],
)
def test_the_kind_is_the_first_word(text, kind):
    assert statement_kind(text) == kind


@pytest.mark.parametrize("text", ["CREATE INDEX i ON t (a)", "BEGIN", "EXPLAIN SELECT 1", "COPY t TO STDOUT"])
def test_utility_statements_are_refused_without_asking(text):
    assert explainable(text).reason == "utility statement"


def test_parameters_are_counted_by_their_highest_number():
    assert explainable("select $2, '$9', $1").parameters == 2
