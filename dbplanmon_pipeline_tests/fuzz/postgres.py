"""PostgreSQL texts: no value comes out masked or in a fingerprint, and no text is too odd."""

from hypothesis import strategies as st

from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals
from dbplanmon_pipeline.providers.postgres.explainable import explainable
from dbplanmon_pipeline_tests.fuzz.planted import WORD, Planted, cut, leaks, numbers, statements, strings
from dbplanmon_pipeline_tests.fuzz.properties import Property

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
_NAMES = ['"it\'s"', '"a""b"', '"order"', '"X y"', 'U&"a"', "$1", "$12", "public.t", "a$b", "x::text", "é€", "E", "u"]
_STATEMENTS = statements(_LITERALS, _NAMES)
_ODD = st.text(alphabet="'\"$ \\eExXnNuU&-/*1a.\n\r?@#0(),;:=<>![]\0é\ud800", max_size=60)
_LONG = st.builds(
    lambda part, characters, end: part * (characters // len(part)) + end,
    st.text(alphabet="'\"$[] \\eE-/*1a.\n?(,):", min_size=1, max_size=6),
    st.sampled_from([500, 20_000]),
    st.text(alphabet="'\"]*/)$", max_size=3),
)


def _nothing_leaks(statement: Planted) -> None:
    masked = mask_postgres_literals(statement.text)
    assert not leaks(masked), masked
    assert not leaks(fingerprint(statement.text, Dialect.POSTGRES).text)


def _nothing_leaks_of_a_part(drawn: tuple[Planted, float]) -> None:
    text = cut(*drawn)
    assert not leaks(mask_postgres_literals(text)), mask_postgres_literals(text)
    assert not leaks(fingerprint(text, Dialect.POSTGRES).text)


def _values_do_not_matter(statement: Planted) -> None:
    found, other = fingerprint(statement.text, Dialect.POSTGRES), fingerprint(statement.other, Dialect.POSTGRES)
    assert found == other


def _masked_is_the_same_statement(text: str) -> None:
    assert fingerprint(mask_postgres_literals(text), Dialect.POSTGRES) == fingerprint(text, Dialect.POSTGRES)


def _read_to_the_end(text: str) -> None:
    masked = mask_postgres_literals(text)
    assert mask_postgres_literals(masked) == masked
    explainable(text)
    fingerprint(text, Dialect.POSTGRES)


PROPERTIES = (
    Property("no planted value survives", _STATEMENTS, _nothing_leaks),
    Property("no planted value survives in a part", st.tuples(_STATEMENTS, st.floats(0, 1)), _nothing_leaks_of_a_part),
    Property("values do not change the fingerprint", _STATEMENTS, _values_do_not_matter),
    Property("masking does not change the fingerprint", _ODD, _masked_is_the_same_statement),
    Property("odd texts are read to the end", _ODD, _read_to_the_end),
    Property("long texts are read in time", _LONG, _read_to_the_end),
)
