"""What must be true of SQL texts in any dialect: no value comes out, values do not matter, no text is too odd."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from dbplanmon_pipeline.core.statements.fingerprint import Dialect, Fingerprint, fingerprint
from dbplanmon_pipeline_tests.fuzz.planted import Planted, cut, leaks, statements
from dbplanmon_pipeline_tests.fuzz.properties import Property

_LENGTHS = (500, 20_000)
_MOST_ODD = 60


def _is_taken_as_it_stands(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Language:
    """How texts of one dialect are made up, and what reads them.

    Attributes:
        masks: ways to take the values out of a text, the one of the store first.
        readers: what else looks at texts, and must get along with any.
        literals: each with a planted value.
        names: and other words that stay.
        signs: what texts without any sense are made of; `repeated` is what the same few of are strung together from.
        ends: what such a long text may end with.
        stands_for_itself: false for texts that hold another statement, whose fingerprint they have.
    """

    dialect: Dialect
    masks: tuple[Callable[[str], str], ...]
    readers: tuple[Callable[[str], object], ...]
    literals: st.SearchStrategy[Planted]
    names: list[str]
    signs: str
    repeated: str
    ends: str
    stands_for_itself: Callable[[str], bool] = _is_taken_as_it_stands

    @property
    def statements(self) -> st.SearchStrategy[Planted]:
        """Statements with a planted value in every literal."""
        return statements(self.literals, self.names)

    def fingerprint(self, text: str) -> Fingerprint:
        """The fingerprint of a text of this dialect."""
        return fingerprint(text, self.dialect)


def statement_properties(language: Language) -> tuple[Property, ...]:
    """The properties of what reads texts of one dialect."""
    mask, found = language.masks[0], language.fingerprint

    def nothing_leaks(text: str) -> None:
        for way in language.masks:
            assert not leaks(way(text)), way(text)
        assert not leaks(found(text).text), found(text).text

    def values_do_not_matter(statement: Planted) -> None:
        if language.stands_for_itself(statement.text):
            assert found(statement.text) == found(statement.other)

    def masked_is_the_same_statement(text: str) -> None:
        if language.stands_for_itself(text):
            assert found(mask(text)) == found(text)

    def read_to_the_end(text: str) -> None:
        for way in language.masks:
            way(text)
        masked = mask(text)
        assert mask(masked) == masked
        found(text)
        for reader in language.readers:
            reader(text)

    planted = language.statements
    parts = st.builds(cut, planted, st.floats(0, 1))
    odd = st.text(alphabet=language.signs, max_size=_MOST_ODD)
    return (
        Property("no planted value survives", planted, lambda statement: nothing_leaks(statement.text)),
        Property("no planted value survives in a part", parts, nothing_leaks),
        Property("values do not change the fingerprint", planted, values_do_not_matter),
        Property("masking does not change the fingerprint", odd, masked_is_the_same_statement),
        Property("odd texts are read to the end", odd, read_to_the_end),
        Property("long texts are read in time", _long(language), read_to_the_end),
    )


def _long(language: Language) -> st.SearchStrategy[str]:
    """A few signs many times over: what a reader with a loop too many takes long for."""
    return st.builds(
        lambda part, characters, end: part * (characters // len(part)) + end,
        st.text(alphabet=language.repeated, min_size=1, max_size=6),
        st.sampled_from(_LENGTHS),
        st.text(alphabet=language.ends, max_size=3),
    )
