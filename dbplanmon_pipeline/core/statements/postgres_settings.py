"""Values of PostgreSQL that are words: of settings with a point in their name, and what triggers hand to a function."""

import re
from collections.abc import Iterator, Sequence

from dbplanmon_pipeline.core.statements.word_values import Piece, Token, pieces_of

_PIECE = re.compile(r"(?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)|(?P<sign>\S)")
_MAY_SET = re.compile(
    r"(?:\s|--[^\r\n]*+|(?>/\*.*?\*/))*+(?:set\b|alter\b|create\b(?=.{0,200}trigger))", re.IGNORECASE | re.DOTALL
)
"""Begins of statements that can hold some."""

_NAMES = frozenset({"word", "quoted"})


def word_settings(text: str, tokens: Sequence[Token]) -> list[Piece]:
    """Words and quoted words that are values.

    Settings of the server have well-known values, which stay. Programs make up others, `app.tenant` for example, and
    keep there what they please.
    """
    return list(_word_settings(pieces_of(tokens, _PIECE))) if _may_set(text) else []


def _may_set(text: str) -> bool:
    low = text.lower()
    if "set" not in low and "trigger" not in low:
        return False
    # Comments may nest, which the pattern does not read.
    if text.count("/*") > 1 or _MAY_SET.match(text):
        return True
    return any(_MAY_SET.match(text, found.end()) for found in re.finditer(";", text))


def _word_settings(pieces: Sequence[Piece]) -> Iterator[Piece]:
    begin = 0
    for end, piece in enumerate(pieces):
        if piece.low in (";", ""):
            statement = pieces[begin:end]
            verb = statement[0].low if statement else ""
            if verb in ("set", "alter"):
                yield from _values(statement)
            elif verb == "create":
                yield from _handed_over(statement)
            begin = end + 1


def _values(statement: Sequence[Piece]) -> Iterator[Piece]:
    """What stands behind `set a.b =`."""
    lows = [piece.low for piece in statement]
    begin = lows.index("set") + 1 if "set" in lows else len(lows)
    if lows[begin : begin + 1] in (["local"], ["session"]):
        begin += 1
    end = begin
    while end < len(lows) and statement[end].kind in _NAMES and lows[end + 1 : end + 2] == ["."]:
        end += 2
    if end > begin and lows[end + 1 : end + 2] in (["="], ["to"]):
        yield from (one for one in statement[end + 2 :] if one.kind in _NAMES and one.low != "default")


def _handed_over(statement: Sequence[Piece]) -> Iterator[Piece]:
    """What stands in the brackets of `execute function f(word)`, which takes strings only."""
    lows = [piece.low for piece in statement]
    place = lows.index("execute") if "execute" in lows and "trigger" in lows else len(lows)
    if lows[place + 1 : place + 2] in (["function"], ["procedure"]) and "(" in lows[place:]:
        yield from (one for one in statement[lows.index("(", place) :] if one.kind in _NAMES)
