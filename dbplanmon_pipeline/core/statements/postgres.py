"""PostgreSQL texts without their literals, read token by token as the server's scanner reads them.

Strings are read with `standard_conforming_strings` on: a backslash escapes in `E'...'` only.
"""

import re
from collections.abc import Iterator

from dbplanmon_pipeline.core.statements.comments import end_of_comment
from dbplanmon_pipeline.core.statements.postgres_settings import word_settings
from dbplanmon_pipeline.core.statements.word_values import WORD_VALUE, with_word_values

MASK = "?"

# Every character beyond ASCII may stand in a name, and so in the tag of a dollar quote: the scanner looks at bytes.
_START, _PART = r"A-Za-z_\x80-\U0010ffff", r"A-Za-z0-9_\x80-\U0010ffff"
_SIGN = r"\x20\t\r\n\f\v,=()<>+*%&|^~!?:;{}\[\]\\@#`"
# A string goes on behind a line break, escapes and all; comments may stand in between.
_GAP = r"(?:[ \t\f\v]|--[^\r\n]*+)*+ [\r\n] (?:[ \t\r\n\f\v]|--[^\r\n]*+[\r\n])*+"
# Up to PostgreSQL 14 `1E'x'` is a number and a string with escapes.
_DIGITS = r"(?:(?![eE]')\w)*+"
_TOKEN = re.compile(
    rf"""
      (?P<plain>   (?: (?:SubPlan|InitPlan)\s+\d+\b | (?![eEbBxXnN]'|[uU]&['"])[{_START}][{_PART}$]*+[{_SIGN}]*+
                     | [{_SIGN}]++ | -(?!-) | /(?!\*) | \.(?!\d) | \$\d++ )++ )
    | (?P<escaped> [eE]'(?:[^'\\]|\\.|'')*+(?: \\?\Z | '(?: {_GAP} '(?:[^'\\]|\\.|'')*+(?:'|\\?\Z) )*+ ) )
    | (?P<string>  (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*+(?: \Z | '(?: {_GAP} '(?:[^']|'')*+(?:'|\Z) )*+ ) )
    | (?P<dollar>  \$(?P<tag>(?:[{_START}][{_PART}]*+)?)\$ .*? (?:\$(?P=tag)\$|\Z) )
    | (?P<quoted>  (?:[uU]&)?"(?:[^"]|"")*+" )
    | (?P<open>    (?:[uU]&)?".* )
    | (?P<line>    --[^\r\n]*+ )
    | (?P<block>   /\* )
    | (?P<number>  (?:\d{_DIGITS}(?:\.{_DIGITS})?|\.\d{_DIGITS})(?:(?<=[eE])[+-]\d+)? )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
LITERALS = frozenset({"escaped", "string", "dollar", "open", "number", WORD_VALUE})
COMMENTS = frozenset({"line", "block"})
_PIECE = re.compile(
    rf"(?P<space>\s+)|(?P<parameter>\$\d+)|(?P<word>[{_START}][{_PART}$]*)|(?P<other>.)", re.VERBOSE | re.DOTALL
)

Token = tuple[str, str, int, int]
"""Kind, text, begin and end; the kinds are the groups of the pattern."""


def mask_postgres_literals(text: str) -> str:
    """The text with `?` for each string, dollar quote and number; names, casts and `$n` stay, comments become a blank.

    So do words that are values of settings which programs make up. A text cut off inside a literal, a name or a comment
    is masked to its end.

    Args:
        text: any SQL of PostgreSQL, or an expression of a plan.
    """
    return "".join([_kept(kind, value) for kind, value, _, _ in postgres_value_tokens(text)])


def mask_postgres_expression(text: str) -> str:
    """The same of an expression of a plan, of which servers cut nothing off: one that is left open is masked whole.

    Where a quote is missing, what stands between the others may be the value.
    """
    tokens = list(postgres_tokens(text))
    if tokens and _stays_open(*tokens[-1][:2]):
        return MASK
    return "".join([_kept(kind, value) for kind, value, _, _ in tokens])


def postgres_tokens(text: str) -> Iterator[Token]:
    """(kind, text, begin, end) from the first character to the last."""
    position = 0
    while position < len(text) and (found := _TOKEN.match(text, position)):
        kind, end = found.lastgroup or "other", found.end()
        if kind == "block":
            end = end_of_comment(text, end)
        yield kind, text[position:end], position, end
        position = end


def postgres_value_tokens(text: str) -> list[Token]:
    """The tokens, values that are words as tokens of their own."""
    tokens = list(postgres_tokens(text))
    words = word_settings(text, tokens)
    return with_word_values(tokens, words) if words else tokens


def postgres_pieces(plain: str) -> Iterator[tuple[str, str]]:
    """A token of the kind `plain` or `other` in pieces: (`space`, `parameter`, `word` or `other`, text)."""
    return ((found.lastgroup or "other", found.group()) for found in _PIECE.finditer(plain))


def _stays_open(kind: str, value: str) -> bool:
    """Whether a token takes what is written behind it."""
    return kind != "plain" and next(postgres_tokens(f"{value}\n x"))[1] != value


def _kept(kind: str, value: str) -> str:
    if kind in LITERALS:
        return MASK
    return " " if kind in COMMENTS else value
