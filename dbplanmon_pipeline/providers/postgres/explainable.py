"""From a normalised text of pg_stat_statements to one that EXPLAIN takes, or to the reason why there is none."""

from collections.abc import Iterator
from dataclasses import dataclass

from dbplanmon_pipeline.core.statements.postgres import postgres_pieces, postgres_tokens

PLANNABLE = frozenset({"select", "with", "insert", "update", "delete", "merge", "values", "table"})
"""First words of statements that the planner sees; everything else is a utility statement."""

# Types whose literals are written as `type 'text'`; normalised that is `type $1`, which no grammar takes.
_LITERAL_TYPES = frozenset(
    {
        *("interval", "date", "time", "timetz", "timestamp", "timestamptz", "numeric", "decimal", "text", "varchar"),
        *(
            "bool",
            "boolean",
            "int",
            "int2",
            "int4",
            "int8",
            "integer",
            "bigint",
            "smallint",
            "float4",
            "float8",
            "real",
        ),
        *("json", "jsonb", "uuid", "inet", "cidr", "macaddr", "bytea", "money", "xml", "point", "box", "regclass"),
    }
)


@dataclass(frozen=True, slots=True)
class Explainable:
    """Attributes: `text` to put behind EXPLAIN, its `kind` (first word), and how many `parameters` it has.

    Where `reason` is not empty the text is not to be explained.
    """

    text: str
    kind: str
    parameters: int = 0
    reason: str = ""


def statement_kind(text: str) -> str:
    """The first word in lower case, the opening parenthesis counted as `select`; empty where there is none."""
    first = next((token for name, token in _tokens(text) if name not in (SPACE, COMMENT)), "")
    return "select" if first == "(" else first.lower() if first.isidentifier() else ""


def explainable(text: str) -> Explainable:
    """Judge and, where needed, rewrite a normalised text; no server is asked.

    Rewritten, because normalising made them invalid: `interval $1` to `$1::interval` (and other typed literals),
    `extract($1 from x)` to the function behind it, `= any(array[$1, $2])` to `in ($1, $2)`.
    """
    kind = statement_kind(text)
    if kind not in PLANNABLE:
        return Explainable(text, kind, reason="utility statement" if kind else "empty text")
    tokens = tokens_of(text)
    if any(token == (OTHER, ";") for token in tokens):
        return Explainable(text, kind, reason="more than one statement")
    numbers = [int(token[1:]) for name, token in tokens if name == PARAMETER]
    significant = [(name, token) for name, token in tokens if name != COMMENT]
    return Explainable("".join(_rewritten(significant)), kind, max(numbers, default=0))


SPACE, COMMENT, PARAMETER, WORD, OTHER = "space", "comment", "parameter", "word", "other"
Token = tuple[str, str]
"""One of the five names above, and the text."""

_COMMENTS = {"line": SPACE, "block": COMMENT}


def tokens_of(text: str) -> list[Token]:
    """The tokens of one statement, without blanks, comments and semicolons behind it."""
    tokens = list(_tokens(text))
    while tokens and (tokens[-1][0] in (SPACE, COMMENT) or tokens[-1][1] == ";"):
        tokens.pop()
    return tokens


def _tokens(text: str) -> Iterator[Token]:
    for kind, value, _, _ in postgres_tokens(text):
        if kind in ("plain", OTHER):
            yield from postgres_pieces(value)
        else:
            yield _COMMENTS.get(kind, OTHER), value


def _rewritten(tokens: list[tuple[str, str]]) -> list[str]:
    solid = [index for index, (name, _) in enumerate(tokens) if name != SPACE]
    words = [tokens[index][1] for index in solid]
    kinds = [tokens[index][0] for index in solid]
    output = [token for _, token in tokens]
    for place, word in enumerate(words):
        lower = word.lower()
        if kinds[place] == WORD and lower in _LITERAL_TYPES:
            _cast(words, kinds, place, solid, output)
        elif lower == "extract" and _matches(words, kinds, place + 1, ("(", "$", "from")):
            output[solid[place]] = 'pg_catalog."extract"'
            output[solid[place + 3]] = ","
        elif lower == "any" and _matches(words, kinds, place - 1, ("=", "any", "(", "array", "[")):
            _in_list(words, kinds, place, solid, output)
    return output


def _matches(words: list[str], kinds: list[str], start: int, pattern: tuple[str, ...]) -> bool:
    """True where the tokens from `start` on are those of the pattern; `$` stands for any parameter."""
    if start < 0 or start + len(pattern) > len(words):
        return False
    return all(
        kinds[start + offset] == PARAMETER if wanted == "$" else words[start + offset].lower() == wanted
        for offset, wanted in enumerate(pattern)
    )


def _cast(words: list[str], kinds: list[str], place: int, solid: list[int], output: list[str]) -> None:
    """`type $1` becomes `$1::type`; `timestamp with time zone $1` likewise."""
    zoned = ("with", "time", "zone"), ("without", "time", "zone")
    length = 4 if any(_matches(words, kinds, place + 1, pattern) for pattern in zoned) else 1
    after = place + length
    if after < len(words) and kinds[after] == PARAMETER and (place == 0 or words[place - 1] not in (".", ":")):
        name = " ".join(words[place:after])
        for index in range(solid[place], solid[after]):
            output[index] = ""
        output[solid[after]] = f" {words[after]}::{name}"


def _in_list(words: list[str], kinds: list[str], place: int, solid: list[int], output: list[str]) -> None:
    """`= any (array [ $1 , $2 ] )` becomes `in ( $1 , $2 )`: without types the array would be one of texts."""
    end = place + 4
    while end < len(words) and (kinds[end] == PARAMETER or words[end] == ","):
        end += 1
    if end + 1 >= len(words) or end == place + 4 or (words[end], words[end + 1]) != ("]", ")"):
        return
    output[solid[place - 1]] = " in "
    for dropped in (place, place + 2, place + 3, end):
        output[solid[dropped]] = ""
