"""Statements with a value planted in every literal, so that one can ask whether it comes out anywhere.

Each part is whole by itself and parted from the next by what ends every token, so that a literal is one in whatever
place it stands.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

WORD = "hushhush"
DIGITS = "7391528"
_TELLING = 5
"""So many characters of a planted value give it away."""

_PARTS_OF_STRINGS = [
    "''",
    '"',
    "[",
    "]",
    "--",
    "/*",
    "*/",
    "\n",
    "\r\n",
    " ",
    ";",
    "$$",
    "$a$",
    "?",
    "@p",
    "N",
    "é",
    "x",
]
_PARTS_OF_COMMENTS = ["it's", "a join", "the end.", '"', "[", "]", "'", "$$", "0x1", "E'", "--", "a", " "]
_APART = [" ", "\n", "\t", "  "]
_BETWEEN = [",", "(", ")", "=", ";", "<", ">", "*", "+", "%"]
_WORDS = ["select", "FROM", "Where", "in", "IN", "values", "VALUES", "insert", "into", "t1", "a", "und", "größe", "not"]
_WORDS += ["any", "array", "cast", "as", "begin", "end", "declare", "exec", "sp_executesql", "null", "between", "top"]


@dataclass(frozen=True)
class Planted:
    """Attributes: `text` with planted values in all its literals, `other`, the same with values of its own."""

    text: str
    other: str


def leaks(text: str) -> bool:
    """Whether enough of a planted value is in the text to know it."""
    return WORD[:_TELLING] in text or DIGITS[:_TELLING] in text


def strings(prefixes: list[str], parts: list[str] | None = None) -> st.SearchStrategy[Planted]:
    """Literals in apostrophes; `parts` is what may stand around the value."""
    some = st.lists(st.sampled_from(parts or _PARTS_OF_STRINGS), max_size=4).map("".join)
    return st.builds(
        lambda prefix, before, after: Planted(f"{prefix}'{before}{WORD}{after}'", f"{prefix}'x'"),
        st.sampled_from(prefixes),
        some,
        some,
    )


def numbers(forms: list[str]) -> st.SearchStrategy[Planted]:
    """Numbers; `#` in a form stands for the digits."""
    return st.sampled_from(forms).map(lambda form: Planted(form.replace("#", DIGITS), form.replace("#", "1")))


def comments() -> st.SearchStrategy[Planted]:
    """Comments of both kinds, nested ones, too; what they say is planted."""
    inner = st.lists(st.sampled_from([*_PARTS_OF_COMMENTS, WORD, DIGITS]), max_size=4).map("".join)
    line = inner.map(lambda text: f"--{text}\n")
    block = inner.map(lambda text: f"/*{text.replace('*', '')} /*{text}*/ */")
    return st.one_of(line, block).map(lambda text: Planted(text, " "))


def statements(literals: st.SearchStrategy[Planted], names: list[str]) -> st.SearchStrategy[Planted]:
    """Words, names, comments and literals in any order."""
    plain = st.sampled_from([*_WORDS, *names]).map(lambda word: Planted(word, word))
    blank = st.sampled_from(_APART).map(lambda text: Planted(text, " "))
    between = st.sampled_from(_BETWEEN).map(lambda sign: Planted(f" {sign} ", f"  {sign} "))
    comment = st.one_of(st.just(Planted(" ", " ")), comments())
    part = st.tuples(between, comment, st.one_of(plain, literals, literals), blank)
    return st.lists(part, min_size=1, max_size=12).map(_joined)


def cut(statement: Planted, share: float) -> str:
    """The beginning of the text, as servers hand out what is too long."""
    return statement.text[: round(len(statement.text) * share)]


def _joined(parts: list[tuple[Planted, ...]]) -> Planted:
    pieces = [piece for part in parts for piece in part]
    return Planted("".join(piece.text for piece in pieces), "".join(piece.other for piece in pieces))
