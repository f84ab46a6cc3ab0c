"""Values that are written as words, as in `EXEC p word` and `SET app.key = word`: tokens of their own."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

WORD_VALUE = "word_value"
"""Kind of a token that is one."""

Token = tuple[str, str, int, int]
"""Kind, text, begin and end."""

TAKEN_APART = frozenset({"plain", "other"})
"""Kinds of tokens that hold several pieces."""

_COMMENTS = frozenset({"line", "block"})


class Piece(NamedTuple):
    """The smallest part of a text that a grammar knows; `low` is its text in lower case."""

    kind: str
    low: str
    begin: int
    end: int


END = Piece("end", "", 0, 0)
"""Stands behind the last piece."""


def pieces_of(tokens: Iterable[Token], pattern: re.Pattern[str]) -> list[Piece]:
    """Pieces in the order of the text, without blanks and comments, and `END` behind them.

    Args:
        tokens: of either dialect.
        pattern: finds words, as the group `word`, and other pieces in tokens that hold several.
    """
    return [*iter_pieces(tokens, pattern), END]


def iter_pieces(tokens: Iterable[Token], pattern: re.Pattern[str], start: int = 0) -> Iterator[Piece]:
    """The same one by one, without `END`, from that character of the first token on."""
    for kind, value, begin, end in tokens:
        if kind in TAKEN_APART:
            for found in pattern.finditer(value, start):
                first, last = found.span()
                yield Piece(found.lastgroup or "sign", found.group().lower(), begin + first, begin + last)
        elif kind not in _COMMENTS:
            yield Piece(kind, value.lower(), begin, end)
        start = 0


def with_word_values(tokens: Sequence[Token], values: Iterable[Piece]) -> list[Token]:
    """The tokens with each of these pieces as one of its own.

    Args:
        tokens: from the first character of a text to the last.
        values: in the order of the text.
    """
    found: list[Token] = []
    waiting = list(reversed(list(values)))
    for kind, value, begin, end in tokens:
        place = begin
        while waiting and waiting[-1].begin < end:
            piece = waiting.pop()
            if piece.begin > place:
                found.append((kind, value[place - begin : piece.begin - begin], place, piece.begin))
            found.append((WORD_VALUE, value[piece.begin - begin : piece.end - begin], piece.begin, piece.end))
            place = piece.end
        if place < end:
            found.append((kind, value[place - begin :], place, end))
    return found
