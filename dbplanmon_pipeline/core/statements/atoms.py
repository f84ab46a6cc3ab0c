"""A statement as atoms: words in lower case, names, operators, and one mark for every literal."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

MARK = "?"
NAME = "\0"
"""Stands for a quoted name while the rest of the text is folded and taken apart."""


def atoms_of(
    tokens: Sequence[tuple[str, str, int, int]],
    replaced: Mapping[str, str],
    name_of: Callable[[str], str],
    pattern: re.Pattern[str],
    *,
    ascii_only: bool,
) -> list[str]:
    """The atoms in the order of the text, case folded.

    Args:
        tokens: kind, text, begin and end each; no NUL character in those that are kept.
        replaced: what stands for tokens of a kind: MARK for literals, NAME for quoted names, a blank for comments.
        name_of: a quoted name in the form it shall have in the end.
        pattern: what is one atom; it must find NAME, and nothing that is blank.
        ascii_only: whether only letters of ASCII have a case.
    """
    text = "".join([replaced.get(kind, value) for kind, value, _, _ in tokens])
    found = pattern.findall(_ascii_lower(text) if ascii_only else text.lower())
    if NAME not in text:
        return found
    names = iter([name_of(value) for kind, value, _, _ in tokens if replaced.get(kind) == NAME])
    return [next(names) if atom == NAME else atom for atom in found]


def rendered(atoms: Iterable[str]) -> str:
    """The atoms as a text for people; equal atoms, equal text."""
    parts: list[str] = []
    to_the_left, to_the_right = _STICKS_TO_THE_LEFT, _STICKS_TO_THE_RIGHT
    before = "("
    for atom in atoms:
        if atom in to_the_left or before in to_the_right or (atom in "([" and _is_called(before)):
            parts.append(atom)
        else:
            parts.append(" " + atom)
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
