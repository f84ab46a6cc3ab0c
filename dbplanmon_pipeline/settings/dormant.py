"""Keys that are checked and kept, but that nothing in this version acts upon; nobody shall rely on them unknowingly."""

from collections.abc import Iterable

DORMANT = (
    ("remediation",),
    ("instances", "labels"),
    ("instances", "options", "planner"),
)
"""Paths without list positions; whatever lies below one is dormant too."""


def is_dormant(path: Iterable[str | int]) -> bool:
    """True where nothing acts upon the key at this path; positions and `[]` marks of lists do not count."""
    names = tuple(part.removesuffix("[]") for part in path if isinstance(part, str) and part != "[]")
    return any(names[: len(key)] == key for key in DORMANT)
