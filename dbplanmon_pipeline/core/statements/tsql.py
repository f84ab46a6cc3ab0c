"""T-SQL texts without their literals, read token by token as the engine reads them."""

import re
from collections.abc import Iterator, Sequence

from dbplanmon_pipeline.core.statements.comments import end_of_comment, open_comments
from dbplanmon_pipeline.core.statements.tsql_calls import word_arguments
from dbplanmon_pipeline.core.statements.word_values import WORD_VALUE, with_word_values

MASK = "?"

_TOKEN = re.compile(
    r"""
      (?P<plain>   (?: (?![nN]')[^\W\d][\w@$#]*+[\s,=()<>+*%&|^~!?:;{}\\]*+ | [\s,=()<>+*%&|^~!?:;{}\\]++
                     | -(?!-) | /(?!\*) | \.(?!\d) | [@#]++[\w@$#]*+ | \$[^\W\d][\w@$#]*+ )++ )
    | (?P<string>  [nN]?'(?:[^']|'')*+(?:'|\Z) )
    | (?P<bracket> \[(?:[^\]]|\]\])*+\] )
    | (?P<quoted>  "(?:[^"]|"")*+" )
    | (?P<open>    [\["].* )
    | (?P<line>    --[^\r\n]*+ )
    | (?P<block>   /\* )
    | (?P<binary>  0[xX][0-9a-fA-F]*+(?:\\\r?\n[0-9a-fA-F]*+)*+ )
    | (?P<number>  (?:\d\w*+(?:\.\w*+)?|\.\d\w*+)(?:(?<=[eE])[+-]\d+)? )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_NOTHING_OPENS = re.compile(r"(?:[^'\"\[/-]|\[[^\[\]]*+\](?!\])|/(?!\*)|-(?!-))*+")
LITERALS = frozenset({"string", "open", "binary", "number", WORD_VALUE})
COMMENTS = frozenset({"line", "block"})
_NAME_ONLY_AFTER = re.compile(
    r"(?:\.|(?<![\w@$#])(?:join|update|into|table|view|index|procedure|proc))\Z", re.IGNORECASE
)
_LONGEST_BEFORE_NAME = 16
"""Characters that show the last word before a name, and that it begins there."""
_NAME_ONLY_BEFORE = re.compile(r"\s*\.\s*(?:[^\W\d]|[\[\"*@#?])")
"""A mask after the point stands for a name that was cut off: what is masked is read as it was before."""

_WORD = re.compile(r"[^\W\d][\w@$#]*|[();]")
_KINDS = {word: word for word in ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "EXEC")} | {"EXECUTE": "EXEC"}
_SELECT_FIRST = re.compile(r"[\s(;]*select\b", re.IGNORECASE)
OTHER = "other"

Token = tuple[str, str, int, int]
"""Kind, text, begin and end; the kinds are the groups of the pattern."""


def mask_tsql_literals(text: str, *, quoted_names: bool | None = None) -> str:
    """The text with `?` for each string, binary, number and money literal; names stay, comments become a blank.

    So do words that a procedure gets as strings. A text cut off inside a literal, a name or a comment is masked to its
    end.

    Args:
        text: any T-SQL, or a part of it.
        quoted_names: whether `"x"` is a name (`QUOTED_IDENTIFIER ON`) or a string. Unknown (None) it counts as a
            name only where the text proves that names are quoted so, for example by `"a"."b"`.
    """
    tokens = tsql_value_tokens(text)
    names = has_quoted_names(text, tokens) if quoted_names is None else quoted_names
    return "".join([_kept(kind, value, names) for kind, value, _, _ in tokens])


def statement_kind(text: str) -> str:
    """`SELECT`, `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `EXEC`, or `other`.

    A list of parameters in front, as the engine writes it, comments and common table expressions are passed over.
    """
    plain = "".join(value for kind, value, _, _ in tsql_tokens(text) if kind in ("plain", "other"))
    if _SELECT_FIRST.match(plain):
        return "SELECT"
    depth, in_with = 0, False
    for word in (found.group().upper() for found in _WORD.finditer(plain)):
        if word in "()":
            depth += 1 if word == "(" else -1
        elif depth <= 0 and word in _KINDS:
            return _KINDS[word]
        elif depth <= 0 and word != ";":
            if word != "WITH" and not in_with:
                return OTHER
            in_with = True
    return OTHER


def tsql_tokens(text: str) -> Iterator[Token]:
    """(kind, text, begin, end) from the first character to the last."""
    position = 0
    while position < len(text) and (found := _TOKEN.match(text, position)):
        kind, end = found.lastgroup or "other", found.end()
        if kind == "block":
            end = end_of_comment(text, end)
        yield kind, text[position:end], position, end
        position = end


def tsql_value_tokens(text: str) -> list[Token]:
    """The tokens, arguments of procedures that are words as tokens of their own."""
    tokens = list(tsql_tokens(text))
    words = word_arguments(text, tokens)
    return with_word_values(tokens, words) if words else tokens


def closed_tsql(text: str) -> str:
    """The text with an end for what it leaves open, which would else end within what is written behind it."""
    if _NOTHING_OPENS.fullmatch(text):
        return text
    kind, value, *_ = list(tsql_tokens(text))[-1]
    if kind == "string":
        return f"{text}'" if value.count("'") % 2 else text
    if kind == "open":
        return text + ("]" if value[0] == "[" else '"')
    if kind == "line":
        return f"{text}\n"
    return text + " */" * open_comments(value, len("/*")) if kind == "block" else text


def has_quoted_names(text: str, tokens: Sequence[Token]) -> bool:
    """Whether one quoted token stands where only a name can: the setting is one for the whole text."""
    if '"' not in text:
        return False
    before = ("", "")
    for kind, value, _, end in tokens:
        if kind == "quoted" and (_NAME_ONLY_BEFORE.match(text, end) or _demands_name(*before)):
            return True
        before = kind, value
    return False


def _demands_name(kind: str, value: str) -> bool:
    """Whether a name must follow this token; the end of a comment or the point of a number says nothing."""
    return kind == "plain" and bool(_NAME_ONLY_AFTER.search(value.rstrip()[-_LONGEST_BEFORE_NAME:]))


def _kept(kind: str, value: str, quoted_names: bool) -> str:
    if kind in LITERALS or (kind == "quoted" and not quoted_names):
        return MASK
    return " " if kind in COMMENTS else value
