"""Names of procedures as people write them, taken apart before they are quoted again."""

import re

_PART = re.compile(r'\[(?P<bracket>(?:[^\]]|\]\])+)\]|"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^\W\d][\w$#@]*)')
MOST_PARTS = 2


def procedure_parts(text: str) -> tuple[tuple[str, bool], ...]:
    """Schema and name, or the name alone; with each whether it stood in quotes or brackets.

    Raises:
        ValueError: it is no such name.
    """
    found = list(_PART.finditer(text))
    if ".".join(match.group() for match in found) != text or not 1 <= len(found) <= MOST_PARTS:
        raise ValueError("expected the name of a procedure such as reporting.open_orders, without arguments")
    return tuple(_unquoted(match) for match in found)


def _unquoted(match: re.Match[str]) -> tuple[str, bool]:
    if match["bracket"] is not None:
        return match["bracket"].replace("]]", "]"), True
    if match["quoted"] is not None:
        return match["quoted"].replace('""', '"'), True
    return match["plain"], False
