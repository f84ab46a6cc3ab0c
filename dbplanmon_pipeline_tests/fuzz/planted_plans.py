"""Plans with values planted where servers write those of a statement, so that one can ask whether they come out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

MARK = "zq"
"""Begins and ends a planted text; occurs in no seed, however it is spelt."""

_TELLING_DIGITS = 12
_ILLEGAL = dict.fromkeys((*range(9), 11, 12, *range(13, 32), 0xFFFE, 0xFFFF))
"""Characters that XML cannot hold."""


@dataclass(frozen=True)
class Literal:
    """Attributes: `text` as SQL writes it, and what of it `tells` the value, in lower case."""

    text: str
    tells: str = MARK


@dataclass(frozen=True)
class PlantedPlan:
    """Attributes: `text` of a plan with planted values, the same plan `before`, and the values."""

    text: str
    before: str
    literals: tuple[Literal, ...]

    def leaks(self, told: str) -> bool:
        """Whether enough of a planted value is in what is told to know it, digits grouped or not."""
        told = told.lower()
        plain = told.replace(",", "")
        return MARK in told or any(one.tells in plain for one in self.literals)


_CHARACTERS = st.one_of(
    st.sampled_from("'\"[]{}()-/*\\ \n;,=@#$?:.e0x%<>&|│+"), st.characters(codec="utf-8", exclude_characters=MARK)
)
values = st.text(_CHARACTERS, max_size=10).map(lambda inner: f"{MARK}{inner.translate(_ILLEGAL)}{MARK}")
"""Values as they are, without any quotes."""


def everywhere(
    plant: Callable[..., PlantedPlan],
    seeds: Sequence[str],
    literals: st.SearchStrategy[Literal],
    wrappings: Sequence[Callable[[str], str]],
    most: int,
) -> st.SearchStrategy[PlantedPlan]:
    """A value wherever the server, this one or a later one, might write it; in all such places, or in some.

    Args:
        plant: takes a seed, literals with their values, every how many places one goes, from which on, and a wrapping.
        seeds: plans without values.
        literals / wrappings: to choose from.
        most: about as many places as a seed has.
    """
    return st.builds(
        plant,
        st.sampled_from(seeds),
        st.lists(st.tuples(literals, values), min_size=1, max_size=4),
        st.one_of(st.just(1), st.integers(1, 9), st.integers(10, most)),
        st.integers(0, most),
        st.sampled_from(wrappings),
    )


def by_servers(
    plant: Callable[..., PlantedPlan],
    seeds: Sequence[str],
    literals: st.SearchStrategy[Literal],
    most: int,
    *more: st.SearchStrategy[object],
) -> st.SearchStrategy[PlantedPlan]:
    """Values where servers write those of the statement, and nowhere else: what is told of such a plan holds none.

    Args:
        plant: takes a seed, literals, every how many places one goes, from which on, and what `more` gives.
        seeds / literals / most: as for `everywhere`.
        more: what else it is to choose.
    """
    return st.builds(
        plant,
        st.sampled_from(seeds),
        st.lists(literals, min_size=1, max_size=4),
        st.one_of(st.just(1), st.integers(1, 9)),
        st.integers(0, most),
        *more,
    )


def texts(quoted: Sequence[Callable[[str], str]]) -> st.SearchStrategy[Literal]:
    """Literals of a value, each quoted in one of these ways."""
    return st.builds(lambda quote, value: Literal(quote(value)), st.sampled_from(quoted), values)


def numbers(forms: Sequence[str]) -> st.SearchStrategy[Literal]:
    """Numbers; `#` in a form stands for the digits."""
    digits = st.integers(10**13, 10**17 - 1).map(str)
    return st.builds(
        lambda form, number: Literal(form.replace("#", number), number[:_TELLING_DIGITS]),
        st.sampled_from(forms),
        digits,
    )


def lures(forms: Sequence[str]) -> st.SearchStrategy[Literal]:
    """Strings that look like what a reader searches a text for; `#` in a form stands for the value, one word."""
    words = st.text("abcdef0123456789_", max_size=6).map(lambda inner: f"{MARK}{inner}{MARK}")
    return st.builds(lambda form, word: Literal(f"'{form.replace('#', word)}'"), st.sampled_from(forms), words)


def strings_of(quote: str, begin: str = "", end: str = "") -> Callable[[str], str]:
    """A way to write a value between quotes, those in it doubled."""
    return lambda value: f"{begin}{quote}{value.replace(quote, quote * 2)}{quote}{end}"


def open_string(value: str) -> str:
    """A string that is cut off before its end."""
    return "'" + value.replace("'", "''")


def block_comment(value: str) -> str:
    """A comment, which may hold what was a statement."""
    return f"/*{value.replace('*', '')}*/"


def line_comment(value: str) -> str:
    """Likewise, up to the end of the line."""
    return f"--{''.join(value.splitlines())}\n"


def is_free(text: str) -> bool:
    """Whether a seed holds nothing that could be taken for a planted value."""
    return MARK not in text.lower()
