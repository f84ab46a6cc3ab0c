"""Calls of procedures in T-SQL: their arguments that are words, and the statement that some of them run."""

import re
from collections.abc import Iterable, Iterator, Sequence

from dbplanmon_pipeline.core.statements.word_values import END, TAKEN_APART, Piece, Token, iter_pieces, pieces_of

_PIECE = re.compile(r"(?P<word>[^\W\d][\w@$#]*)|(?P<variable>@[\w@$#]*)|(?P<sign>\S)")
_MAY_CALL = ("exec", "sp_", "xp_")
_EXEC = frozenset({"exec", "execute"})
_EXECUTES = re.compile(r"(?<![\w@$#])exec(?:ute)?(?![\w@$#])", re.IGNORECASE)
_SYSTEM = ("sp_", "xp_")
"""A batch may begin with a call without EXEC; but for these, nothing tells it from a part of a statement."""

_BEGIN_SOMETHING_ELSE = """
    add alter and as at backup begin break bulk by checkpoint close commit continue create dbcc deallocate declare
    delete deny drop dump else end exec execute exit fetch for from go goto grant if insert into kill load merge on open
    option or print raiserror reconfigure restore return revert revoke rollback save select set setuser shutdown then to
    truncate union update use waitfor when where while with
"""
_NO_ARGUMENTS = frozenset(_BEGIN_SOMETHING_ELSE.split())
_NAMES = frozenset({"word", "bracket", "quoted", "open"})
_LITERALS = frozenset({"string", "number", "binary"})
_KEYWORD_VALUES = frozenset({"null", "default"})
_DIRECTIONS = frozenset({"output", "out", "readonly"})
_BEFORE_A_NUMBER = frozenset("-+$£€¥")
_STATEMENT_PLACES = {
    "sp_executesql": 0,
    "sp_cursoropen": 1,
    "sp_cursorprepare": 2,
    "sp_prepare": 2,
    "sp_prepexec": 2,
    "sp_cursorprepexec": 3,
}
"""Which argument, from 0, is the statement."""


def word_arguments(text: str, tokens: Sequence[Token]) -> list[Piece]:
    """Arguments of calls that are strings without quotes, as the server takes `EXEC p word, [word], "word"`."""
    low = text.lower()
    # Looking for three words takes a tenth of the time of one pattern for them.
    return list(_word_arguments(tokens)) if any(word in low for word in _MAY_CALL) else []


def runs_a_statement(atoms: Sequence[str]) -> bool:
    """Whether one of these procedures is named."""
    return not _STATEMENT_PLACES.keys().isdisjoint(atoms)


def statement_called(text: str, tokens: Sequence[Token]) -> tuple[int, str] | None:
    """Where the first call of a text begins, and the statement that it runs; None where it runs none.

    That is the statement in `exec sp_executesql N'...'`, for example.
    """
    pieces = pieces_of(tokens, _PIECE)
    place = next((place for place, piece in enumerate(pieces) if piece.kind == "word" and piece.low in _EXEC), 0)
    behind = _behind_name(pieces, place) if pieces[place].low in _EXEC else 0
    wanted = _STATEMENT_PLACES.get(_plain(pieces[behind - 1])) if behind else None
    for number, argument in enumerate(_arguments(pieces, behind) if wanted is not None else ()):
        if number == wanted and argument.kind == "string":
            return pieces[place].begin, _unquoted(text[argument.begin : argument.end])
    return None


def _word_arguments(tokens: Sequence[Token]) -> Iterator[Piece]:
    begin = 0
    for pieces in _calls(tokens):
        behind = _behind_name(pieces, 0) if pieces[0].begin >= begin else 0
        if behind:
            begin = pieces[behind].begin
            words = (argument for argument in _arguments(pieces, behind) if argument.kind in _NAMES)
            yield from (word for word in words if word.low not in _KEYWORD_VALUES)


def _calls(tokens: Sequence[Token]) -> Iterator["_Pieces"]:
    """Where calls may begin: with the text, and with each EXEC."""
    yield _Pieces(tokens)
    for number, (kind, value, _, _) in enumerate(tokens):
        if kind in TAKEN_APART and "exec" in value.lower():
            for found in _EXECUTES.finditer(value):
                # Not by a slice, of which a text full of calls would make as many copies of itself.
                yield _Pieces((tokens[at] for at in range(number, len(tokens))), found.start())


class _Pieces:
    """Pieces from some place on, found as they are asked for, and `END` behind the last."""

    def __init__(self, tokens: Iterable[Token], start: int = 0) -> None:
        self._found: list[Piece] = []
        self._more = iter_pieces(tokens, _PIECE, start)

    def __getitem__(self, number: int) -> Piece:
        while len(self._found) <= number:
            self._found.append(next(self._more, END))
        return self._found[number]


def _behind_name(pieces: "Sequence[Piece] | _Pieces", place: int) -> int:
    """Where the arguments of a call begin that begins here; 0 where none does."""
    alone = pieces[place].low not in _EXEC
    begin = place if alone else place + 1
    if pieces[begin].kind == "variable" and pieces[begin + 1].low == "=":
        begin += 2
    end = begin
    while pieces[end].low == "." or (_is_name(pieces[end]) and (end == begin or pieces[end - 1].low == ".")):
        end += 1
    if end == begin or pieces[end - 1].low == "." or (alone and not _plain(pieces[end - 1]).startswith(_SYSTEM)):
        return 0
    # `p;1` is the first of several procedures of one name; quoted text there is none, but may be a mask elsewhere.
    behind = pieces[end + 1] if pieces[end].low == ";" else pieces[end]
    is_numbered = behind is not pieces[end] and (_is_literal(behind) or behind.kind in ("quoted", "open"))
    return end + 2 if is_numbered else end


def _is_name(piece: Piece) -> bool:
    if piece.kind == "word":
        return piece.low not in _NO_ARGUMENTS
    return piece.kind in _NAMES or piece.kind == "variable" or _is_literal(piece)


def _is_literal(piece: Piece) -> bool:
    return piece.kind in _LITERALS or piece.low == "?"


def _arguments(pieces: "Sequence[Piece] | _Pieces", place: int) -> Iterator[Piece]:
    """The value of each argument."""
    first = True
    while pieces[place] is not END:
        if pieces[place].kind == "variable" and pieces[place + 1].low == "=":
            place, first = place + 2, False
        while pieces[place].low in _BEFORE_A_NUMBER:
            place += 1
        value = pieces[place]
        is_word = value.kind == "word" and not (first and (value.low in _NO_ARGUMENTS or pieces[place + 1].low == ":"))
        if not (is_word or value.kind in _NAMES - {"word"} or value.kind == "variable" or _is_literal(value)):
            return
        yield value
        place += 1
        if pieces[place].low in _DIRECTIONS:
            place += 1
        if pieces[place].low != ",":
            return
        place, first = place + 1, False


def _plain(piece: Piece) -> str:
    return piece.low.strip('[]"')


def _unquoted(literal: str) -> str:
    begin = literal.index("'") + 1
    closed = len(literal) > begin and literal.endswith("'")
    return literal[begin : len(literal) - closed].replace("''", "'")
