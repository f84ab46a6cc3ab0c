"""T-SQL: no value comes out masked or in a fingerprint, and no text is too odd."""

from hypothesis import strategies as st

from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals, statement_kind
from dbplanmon_pipeline.core.statements.tsql_reading import why_not_reading
from dbplanmon_pipeline_tests.fuzz.planted import WORD, Planted, cut, leaks, numbers, statements, strings
from dbplanmon_pipeline_tests.fuzz.properties import Property

_IN_DOUBLE_QUOTES = st.lists(st.sampled_from(["'", '""', "[", "--", "/*", "join", ".", "\n"]), max_size=4).map(
    lambda parts: Planted(f'"{"".join(parts)}{WORD}{"".join(reversed(parts))}"', '"x"')
)
_LITERALS = st.one_of(
    _IN_DOUBLE_QUOTES,
    strings(["", "N", "n"]),
    strings(["", "N"], ["''", "\\", "\\\n", "\\''", "%", "_"]),
    numbers(["#", "-#", "+#", "#.5", ".#", "1e#", "#E-3", "$#", "$-#", "£#.00", "0x#", "0x#ab", "0xab\\\nfeed#", "#."]),
)
_NAMES = ["[it's]", "[a]]'b]", "[order]", "[x y]", "#tmp", "##g_00001", "@p1", "@@rowcount", "$action", "dbo.t", "[N]"]
_STATEMENTS = statements(_LITERALS, _NAMES)
_ODD = st.text(alphabet="'\"[]$ \\eExXnNuU&-/*1a.\n\r?@#0(),;:=<>!\0é\ud800", max_size=60)
_LONG = st.builds(
    lambda part, characters, end: part * (characters // len(part)) + end,
    st.text(alphabet="'\"[]$ -/*1a.\n?@#(,)", min_size=1, max_size=6),
    st.sampled_from([500, 20_000]),
    st.text(alphabet="'\"]*/)", max_size=3),
)
_DYNAMIC = (
    "exec sp_executesql N'",
    "EXECUTE [sys].[sp_executesql] @stmt = N'",
    "declare @r int; exec @r = sp_executesql '",
)


def _masked(text: str) -> str:
    return mask_tsql_literals(text, quoted_names=False)


def _nothing_leaks(statement: Planted) -> None:
    masked = _masked(statement.text)
    assert not leaks(masked), masked
    assert not leaks(mask_tsql_literals(statement.text))
    assert not leaks(fingerprint(statement.text, Dialect.TSQL).text)


def _nothing_leaks_of_a_part(drawn: tuple[Planted, float]) -> None:
    text = cut(*drawn)
    assert not leaks(_masked(text)), _masked(text)
    assert not leaks(fingerprint(text, Dialect.TSQL).text)


def _values_do_not_matter(statement: Planted) -> None:
    found, other = fingerprint(statement.text, Dialect.TSQL), fingerprint(statement.other, Dialect.TSQL)
    if "sp_executesql" not in statement.text:
        assert found == other


def _masked_is_the_same_statement(text: str) -> None:
    if "sp_executesql" not in text.lower():
        assert fingerprint(mask_tsql_literals(text), Dialect.TSQL) == fingerprint(text, Dialect.TSQL)


def _called_is_the_same_statement(drawn: tuple[str, Planted]) -> None:
    call, statement = drawn
    quoted = statement.text.replace("'", "''")
    if "sp_executesql" not in statement.text:
        called = fingerprint(f"{call}{quoted}', N'@p1 int', @p1 = 5", Dialect.TSQL)
        assert called == fingerprint(statement.text, Dialect.TSQL)


def _read_to_the_end(text: str) -> None:
    masked = mask_tsql_literals(text)
    assert mask_tsql_literals(masked) == masked
    statement_kind(text)
    why_not_reading(text)
    fingerprint(text, Dialect.TSQL)


PROPERTIES = (
    Property("no planted value survives", _STATEMENTS, _nothing_leaks),
    Property("no planted value survives in a part", st.tuples(_STATEMENTS, st.floats(0, 1)), _nothing_leaks_of_a_part),
    Property("values do not change the fingerprint", _STATEMENTS, _values_do_not_matter),
    Property("masking does not change the fingerprint", _ODD, _masked_is_the_same_statement),
    Property(
        "a statement keeps its fingerprint when called dynamically",
        st.tuples(st.sampled_from(_DYNAMIC), _STATEMENTS),
        _called_is_the_same_statement,
    ),
    Property("odd texts are read to the end", _ODD, _read_to_the_end),
    Property("long texts are read in time", _LONG, _read_to_the_end),
)
