"""Near misses in names."""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 20


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as the end of a sentence, else the known names, else nothing."""
    names = list(dict.fromkeys(known))
    by_folded = {candidate.lower().replace("-", "_"): candidate for candidate in reversed(names)}
    if near := get_close_matches(name.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6):
        return f"; did you mean {by_folded[near[0]]}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= _LISTED else ""
