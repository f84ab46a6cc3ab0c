"""Block comments of SQL; in PostgreSQL and T-SQL alike they nest."""

import re

_MARK = re.compile(r"/\*|\*/")


def end_of_comment(text: str, position: int) -> int:
    """End of a block comment whose begin was just read; one that stays open takes the rest."""
    return _end_and_depth(text, position)[0]


def open_comments(text: str, position: int) -> int:
    """How many ends the same comment lacks."""
    return _end_and_depth(text, position)[1]


def _end_and_depth(text: str, position: int) -> tuple[int, int]:
    depth = 1
    for mark in _MARK.finditer(text, position):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end(), 0
    return len(text), depth
