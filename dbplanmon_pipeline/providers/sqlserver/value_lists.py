"""Lists of values for statements, in few widths, so that our own statements stay few in the caches of the server."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

WIDTHS = (1, 10, 100)
"""A plan for a list of a thousand parameters takes megabytes of the server's cache, and that in each database."""

Value = TypeVar("Value")


def value_lists(values: Sequence[Value], most: int = WIDTHS[-1]) -> Iterator[list[Value]]:
    """The values in pieces of at most `most`, each filled up to one of `WIDTHS` by repeating its last value."""
    for begin in range(0, len(values), most):
        piece = list(values[begin : begin + most])
        width = next(width for width in WIDTHS if width >= len(piece))
        yield piece + [piece[-1]] * (width - len(piece))
