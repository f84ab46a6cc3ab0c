"""T-SQL: no value comes out masked or in a fingerprint, and no text is too odd."""

from hypothesis import strategies as st

from dbplanmon_pipeline.core.plans.showplan.expressions import comparable_expression
from dbplanmon_pipeline.core.statements.fingerprint import Dialect
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals, statement_kind
from dbplanmon_pipeline.core.statements.tsql_reading import end_of_first_word, why_not_reading
from dbplanmon_pipeline_tests.fuzz.planted import WORD, Planted, numbers, strings
from dbplanmon_pipeline_tests.fuzz.properties import Property
from dbplanmon_pipeline_tests.fuzz.statement_properties import Language, statement_properties

_IN_DOUBLE_QUOTES = st.lists(st.sampled_from(["'", '""', "[", "--", "/*", "join", ".", "\n"]), max_size=4).map(
    lambda parts: Planted(f'"{"".join(parts)}{WORD}{"".join(reversed(parts))}"', '"x"')
)
_LITERALS = st.one_of(
    _IN_DOUBLE_QUOTES,
    strings(["", "N", "n"]),
    strings(["", "N"], ["''", "\\", "\\\n", "\\''", "%", "_"]),
    numbers(["#", "-#", "+#", "#.5", ".#", "1e#", "#E-3", "$#", "$-#", "£#.00", "0x#", "0x#ab", "0xab\\\nfeed#", "#."]),
)
_DYNAMIC = (
    "exec sp_executesql N'",
    "EXECUTE [sys].[sp_executesql] @stmt = N'",
    "declare @r int; exec @r = sp_executesql '",
)


def _masked_with_strings_in_double_quotes(text: str) -> str:
    return mask_tsql_literals(text, quoted_names=False)


def _stands_for_itself(text: str) -> bool:
    return "sp_executesql" not in text.lower()


_TSQL = Language(
    Dialect.TSQL,
    masks=(mask_tsql_literals, _masked_with_strings_in_double_quotes, comparable_expression),
    readers=(statement_kind, why_not_reading, end_of_first_word),
    literals=_LITERALS,
    names=[
        "[it's]",
        "[a]]'b]",
        "[order]",
        "[x y]",
        "#tmp",
        "##g_00001",
        "@p1",
        "@@rowcount",
        "$action",
        "dbo.t",
        "[N]",
    ],
    signs="'\"[]$ \\eExXnNuU&-/*1a.\n\r?@#0(),;:=<>!\0é\ud800",
    repeated="'\"[]$ -/*1a.\n?@#(,)",
    ends="'\"]*/)",
    stands_for_itself=_stands_for_itself,
)


def _called_is_the_same_statement(drawn: tuple[str, Planted]) -> None:
    call, statement = drawn
    quoted = statement.text.replace("'", "''")
    if _stands_for_itself(statement.text):
        called = _TSQL.fingerprint(f"{call}{quoted}', N'@p1 int', @p1 = 5")
        assert called == _TSQL.fingerprint(statement.text)


PROPERTIES = (
    *statement_properties(_TSQL),
    Property(
        "a statement keeps its fingerprint when called dynamically",
        st.tuples(st.sampled_from(_DYNAMIC), _TSQL.statements),
        _called_is_the_same_statement,
    ),
)
