"""Changes to the text of a plan, as damage, other versions and other tools make them."""

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from hypothesis import strategies as st

LARGEST_SEED = 40_000
"""Characters; larger files teach no more and take their time."""


class Seed(str):
    """A plan to begin with, which a report of a failure names by its number instead of printing it."""

    __slots__ = ("number",)

    def __new__(cls, text: str, number: int) -> Self:
        """The text under a number."""
        made = super().__new__(cls, text)
        made.number = number
        return made

    def __repr__(self) -> str:
        return f"seeds()[{self.number}]"

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))


def numbered(texts: Iterable[str]) -> tuple[Seed, ...]:
    """The texts that are no longer than LARGEST_SEED, as seeds."""
    return tuple(Seed(text, number) for number, text in enumerate(one for one in texts if len(one) <= LARGEST_SEED))


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


def repeated(pieces: Sequence[str], longest: int = 100_000) -> st.SearchStrategy[str]:
    """A few pieces, each many times over: what a reader with a loop too many takes long for."""
    part = st.tuples(st.sampled_from(pieces), st.integers(1, longest // 4))
    parts = st.lists(part, min_size=1, max_size=4)
    return parts.map(lambda found: "".join((piece * count)[: longest // len(found)] for piece, count in found))


def cut_off(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The begin of a document, as a full disk or a limit of characters leaves it; or all but its begin."""
    return st.builds(_part, texts, st.integers(0, _MILLION), st.booleans())


def interleaved(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Two documents in pieces that alternate, as two writers of one file leave them; whole ones, too."""
    sizes = st.lists(st.one_of(st.integers(1, 60), st.integers(1, LARGEST_SEED)), min_size=1, max_size=8)
    return st.builds(_alternating, texts, texts, sizes)


def _part(text: str, place: int, is_begin: bool) -> str:
    end = place * len(text) // _MILLION
    return text[:end] if is_begin else text[end:]


def _alternating(first: str, second: str, sizes: Sequence[int]) -> str:
    parts, waiting = [], [first, second]
    for turn, size in enumerate(sizes):
        side = turn % 2
        parts.append(waiting[side][:size])
        waiting[side] = waiting[side][size:]
    return "".join([*parts, *waiting])


@dataclass(frozen=True)
class PlanFile:
    """Attributes: the bytes of a file, and its `text` where they are whole and can be told from others, else None."""

    raw: bytes
    text: str | None


_HONEST = (
    (b"", "utf-8"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ODD = (
    (b"", "utf-16-le"),
    (b"", "utf-16-be"),
    (b"", "latin-1"),
    (b"", "cp1252"),
    (b"", "utf-32-le"),
    (b"", "utf-7"),
    (codecs.BOM_UTF8, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-le"),
    (codecs.BOM_UTF16_LE, "utf-8"),
    (codecs.BOM_UTF8 * 2, "utf-8"),
)
_DECLARATIONS = (
    "",
    '<?xml version="1.0"?>',
    *(
        f'<?xml version="1.0" encoding="{name}"?>'
        for name in ("utf-8", "utf-16", "UTF-16LE", "iso-8859-1", "windows-1252", "hex", "base64", "rot13", "no-such")
    ),
)
_DAMAGE = st.lists(st.tuples(st.integers(0, _MILLION), st.binary(max_size=3), st.integers(0, 3)), max_size=2)


def files(texts: st.SearchStrategy[str]) -> st.SearchStrategy[PlanFile]:
    """Texts in every encoding that tools save plans in, and in others, with whatever declaration; some are damaged."""
    honest = st.builds(_file, texts, st.sampled_from(_HONEST), st.sampled_from(_DECLARATIONS), st.just(()))
    odd = st.builds(_file, texts, st.sampled_from((*_HONEST, *_ODD)), st.sampled_from(_DECLARATIONS), _DAMAGE)
    return st.one_of(honest, odd, odd)


def _file(text: str, form: tuple[bytes, str], declaration: str, damage: Sequence[tuple[int, bytes, int]]) -> PlanFile:
    mark, encoding = form
    whole = f"{declaration}{text}"
    try:
        raw = mark + whole.encode(encoding)
    except UnicodeEncodeError:
        return PlanFile(mark + whole.encode(encoding, "replace"), None)
    for place, put, dropped in damage:
        start = place * len(raw) // _MILLION
        raw = raw[:start] + put + raw[start + dropped :]
    is_told = form in _HONEST and not damage and not text.startswith("\ufeff") and "\0" not in whole[:200]
    return PlanFile(raw, whole if is_told else None)


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
