"""A statement as atoms: words in lower case, names, operators, and one mark for every literal."""

import re
from collections.abc import Iterable

MARK = "?"
_NAME = "\0"


class Skeleton:
    """A text whose literals are marks and whose quoted names wait aside while the rest is folded and taken apart."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._names: list[str] = []

    def add_text(self, text: str) -> None:
        """Words, operators and blanks."""
        self._parts.append(text.replace(_NAME, " ") if _NAME in text else text)

    def add_name(self, name: str) -> None:
        """A name in quotes, in the form it shall have in the end."""
        self._parts.append(_NAME)
        self._names.append(name)

    def add_literal(self) -> None:
        """Whatever value."""
        self._parts.append(MARK)

    def add_blank(self) -> None:
        """What a comment leaves behind."""
        self._parts.append(" ")

    def atoms(self, pattern: re.Pattern[str], *, ascii_only: bool) -> list[str]:
        """In the order of the text, case folded.

        Args:
            pattern: what is one atom; it must find a NUL character, and nothing that is blank.
            ascii_only: whether only letters of ASCII have a case.
        """
        text = "".join(self._parts)
        found = pattern.findall(_ascii_lower(text) if ascii_only else text.lower())
        if not self._names:
            return found
        names = iter(self._names)
        return [next(names) if atom == _NAME else atom for atom in found]


def rendered(atoms: Iterable[str]) -> str:
    """The atoms as a text for people; equal atoms, equal text."""
    parts: list[str] = []
    before = "("
    for atom in atoms:
        if atom in _STICKS_TO_THE_LEFT or before in _STICKS_TO_THE_RIGHT or (atom in "([" and _is_called(before)):
            parts.append(atom)
        else:
            parts += (" ", atom)
        before = atom
    return "".join(parts)


_STICKS_TO_THE_LEFT = frozenset({",", ")", ";", ".", "]", "::"})
_STICKS_TO_THE_RIGHT = frozenset({"(", ".", "[", "::"})
_BEFORE_A_BRACKET_WORDS = """
    all and any apply as between by cross distinct else except exists from having in inner insert intersect into join
    lateral like not on only or over partition row select set some table then top union using values when where with
    within
"""
_BEFORE_A_BRACKET = frozenset(_BEFORE_A_BRACKET_WORDS.split())
"""Between these words and a bracket stands a blank; other words are taken for functions and tables."""


def _is_called(before: str) -> bool:
    return (before[-1].isalnum() or before[-1] in '_$#@"]') and before not in _BEFORE_A_BRACKET


_UPPER = re.compile("[A-Z]+")


def _ascii_lower(text: str) -> str:
    return text.lower() if text.isascii() else _UPPER.sub(lambda found: found.group().lower(), text)
