"""Changes to the text of a plan, as damage, other versions and other tools make them."""

from collections.abc import Sequence

from hypothesis import strategies as st

LARGEST_SEED = 40_000
"""Characters; larger files teach no more and take their time."""

Change = tuple[str, int, int, int, str]
"""What is done, where and how far [millionths of the text], how much [characters], and what is put in."""

_KINDS = ("cut out", "double", "put in", "replace", "cut off", "move")
_MILLION = 1_000_000


def mutated(seeds: Sequence[str], pieces: Sequence[str], most: int = 6) -> st.SearchStrategy[str]:
    """Seeds with a few changes, now and then with none; `pieces` are put in besides text made up anew."""
    piece = st.one_of(st.sampled_from(pieces), st.text(max_size=8))
    change = st.tuples(
        st.sampled_from(_KINDS),
        st.integers(0, _MILLION),
        st.integers(0, _MILLION),
        st.one_of(st.integers(0, 12), st.integers(0, 2_000)),
        piece,
    )
    return st.builds(changed, st.sampled_from(seeds), st.lists(change, max_size=most))


def repeated(pieces: Sequence[str], longest: int = 200_000) -> st.SearchStrategy[str]:
    """A few pieces, each many times over: what a reader with a loop too many takes long for."""
    part = st.tuples(st.sampled_from(pieces), st.integers(1, longest // 4))
    parts = st.lists(part, min_size=1, max_size=4)
    return parts.map(lambda found: "".join((piece * count)[: longest // len(found)] for piece, count in found))


def changed(text: str, changes: Sequence[Change]) -> str:
    """The text after the changes, one after the other."""
    for kind, place, other, length, piece in changes:
        start, goal = place * len(text) // _MILLION, other * len(text) // _MILLION
        part, rest = text[start : start + length], text[start + length :]
        if kind == "cut out":
            text = text[:start] + rest
        elif kind == "double":
            text = text[:start] + part + part + rest
        elif kind == "put in":
            text = text[:start] + piece + text[start:]
        elif kind == "replace":
            text = text[:start] + piece + rest
        elif kind == "cut off":
            text = text[:start]
        else:
            without = text[:start] + rest
            text = without[:goal] + part + without[goal:]
    return text
