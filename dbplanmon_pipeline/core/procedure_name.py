"""Names of procedures as people write them, taken apart before they are quoted again."""

import re

_PART = re.compile(r'\[(?P<bracket>(?:[^\]]|\]\])+)\]|"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^\W\d][\w$#@]*)')
MOST_PARTS = 2


def procedure_parts(text: str) -> tuple[tuple[str, bool], ...]:
    """Schema and name, or the name alone; with each whether it stood in quotes or brackets.

    Raises:
        ValueError: it is no such name.
    """
    parts: list[tuple[str, bool]] = []
    position = 0
    while match := _PART.match(text, position):
        parts.append(_unquoted(match))
        position = match.end()
        if position == len(text) or text[position] != ".":
            break
        position += 1
    if position != len(text) or not 1 <= len(parts) <= MOST_PARTS:
        raise ValueError("expected the name of a procedure such as reporting.open_orders, without arguments")
    return tuple(parts)


def _unquoted(match: re.Match[str]) -> tuple[str, bool]:
    if match["bracket"] is not None:
        return match["bracket"].replace("]]", "]"), True
    if match["quoted"] is not None:
        return match["quoted"].replace('""', '"'), True
    return match["plain"], False
