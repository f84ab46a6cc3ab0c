"""A statement for reading: harmless, cut at a length nobody reads, and a line for each clause where it has none."""

import re
from dataclasses import dataclass

from dbplanmon_pipeline.core.plain_words import lines_of

MOST_CHARACTERS = 20_000
_CLAUSES = (
    r"FROM|WHERE|(?:(?:INNER|CROSS|LEFT|RIGHT|FULL)(?:\s+OUTER)?\s+)?JOIN|OUTER\s+APPLY|CROSS\s+APPLY|GROUP\s+BY|"
    r"HAVING|ORDER\s+BY|UNION(?:\s+ALL)?|EXCEPT|INTERSECT|LIMIT|OFFSET|RETURNING|VALUES|SET|ON\s+CONFLICT|OPTION"
)
_TOKENS = re.compile(
    rf"(?P<quoted>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[[^\]]*\])|(?P<comment>--|/\*)|(?P<open>\()|(?P<close>\))|"
    rf"(?P<clause>(?<=\s)(?:{_CLAUSES})\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A statement for a page; `left_out` characters were cut."""

    text: str
    left_out: int = 0


def lay_out(text: str) -> LaidOut:
    """Only blanks change; a statement with line breaks or comments of its own keeps its form."""
    cut = text[:MOST_CHARACTERS]
    lines = lines_of(cut)
    shown = "\n".join(lines)
    if len(lines) == 1:
        shown = _with_clauses(lines[0].strip())
    return LaidOut(shown, max(0, len(text) - MOST_CHARACTERS))


def _with_clauses(line: str) -> str:
    parts, depth, last = [], 0, 0
    for token in _TOKENS.finditer(line):
        kind = token.lastgroup
        if kind == "comment":
            return line
        if kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
        elif kind == "clause" and depth <= 0:
            parts.append(line[last : token.start()].rstrip())
            last = token.start()
    parts.append(line[last:])
    return "\n".join(part for part in parts if part)
