"""PostgreSQL texts: no value comes out masked or in a fingerprint, and no text is too odd."""

from hypothesis import strategies as st

from dbplanmon_pipeline.core.plans.postgres.expressions import comparable_pg_expression, has_parameters
from dbplanmon_pipeline.core.plans.postgres.index_candidates import LONGEST_CONDITION, conjuncts
from dbplanmon_pipeline.core.statements.fingerprint import Dialect
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals
from dbplanmon_pipeline.providers.postgres.explainable import explainable, statement_kind
from dbplanmon_pipeline_tests.fuzz.planted import WORD, Planted, numbers, strings
from dbplanmon_pipeline_tests.fuzz.statement_properties import Language, statement_properties

_ESCAPES = ["\\'", "\\\\", "\\n", "''", "\\x", "x", '"', "\n"]


def _escaped(before: list[str], after: list[str], gap: str) -> Planted:
    """A string with escapes, perhaps in two parts on two lines."""
    first, second = "".join(before), "".join(after)
    body = f"{first}{WORD}{second}"
    return Planted(f"E'{first}'{gap}'{body}'" if gap else f"e'{body}'", "'x'")


_GAPS = ["", "\n", " \n\t", " -- it's\n", "\r\n--a\n "]
_PARTS = st.lists(st.sampled_from(_ESCAPES), max_size=4)
_TAGS = ["", "a", "_1", "é", "€", "Tag"]
_DOLLARS = st.builds(
    lambda tag, before, after: Planted(f"${tag}${before}{WORD}{after}${tag}$", "'x'"),
    st.sampled_from(_TAGS),
    st.sampled_from(["", "'", "$", "$b$", "--", '"', "/*"]),
    st.sampled_from(["", " '", " $1", "\n", "*/"]),
)
_LITERALS = st.one_of(
    strings(["", "N", "n", "b", "X", "U&", "u&"]),
    strings([""], ["''", "\\", "\\''", "%"]),
    st.builds(_escaped, _PARTS, _PARTS, st.sampled_from(_GAPS)),
    _DOLLARS,
    numbers(["#", "-#", "+#", "#.5", ".#", "1e#", "#E-3", "0x#", "0b1_#", "1_#", "#."]),
)


def _conditions_of(text: str) -> list[str]:
    return conjuncts(text[:LONGEST_CONDITION])


PROPERTIES = statement_properties(
    Language(
        Dialect.POSTGRES,
        masks=(mask_postgres_literals, comparable_pg_expression),
        readers=(explainable, statement_kind, has_parameters, _conditions_of),
        literals=_LITERALS,
        names=[
            *('"it\'s"', '"a""b"', '"order"', '"X y"', 'U&"a"', "$1", "$12"),
            *("public.t", "a$b", "x::text", "é€", "E", "u"),
        ],
        signs="'\"$ \\eExXnNuU&-/*1a.\n\r?@#0(),;:=<>![]\0é\ud800",
        repeated="'\"$[] \\eE-/*1a.\n?(,):",
        ends="'\"]*/)$",
    )
)
