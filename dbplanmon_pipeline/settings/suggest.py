"""Near misses in names."""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 20
_SHORTEST = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like `name`, letter case and hyphens aside; empty where none is near."""
    by_folded = {_folded(candidate): candidate for candidate in known}
    begun = [folded for folded in by_folded if len(name) >= _SHORTEST and folded.startswith(_folded(name))]
    near = begun or get_close_matches(_folded(name), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as the end of a sentence, else the known names where they are few, else nothing."""
    names = list(dict.fromkeys(known))
    if near := nearest(name, names):
        return f"; did you mean {near}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= _LISTED else ""


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
