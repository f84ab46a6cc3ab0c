"""Which statements and plans of a database are already written down in the present hour.

A tick sees the same statements as the tick before. Instead of touching their rows each time, the store keeps the pairs
it has written in this hour beside the counter state, one small value per database, and writes only what is new: half of
the cost of `record` was the other way.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.store.intervals.days import HOUR_US, epoch_us

_PREFIX = struct.Struct("<qI")
_PAIR_BYTES = 16


@dataclass(frozen=True)
class Sightings:
    """Rows of int64 [database_id, query_hash, plan_hash], sorted.

    Attributes:
        current: the plan last written for each statement, one row per (database, query).
        observed: all pairs written, plan known.
    """

    current: Longs
    observed: Longs

    def new_against(self, written: "Sightings") -> "Sightings":
        """What is here and not yet written."""
        current = self.current[~_contained(self.current, written.current)]
        return Sightings(current, self.observed[~_contained(self.observed, written.observed)])

    def after(self, earlier: "Sightings") -> "Sightings":
        """Both together; of two plans of one statement the one here counts."""
        both = np.concatenate([earlier.current, self.current])
        order = np.lexsort((np.arange(len(both)), both[:, 1], both[:, 0]))
        both = both[order]
        last = np.ones(len(both), bool)
        last[:-1] = (both[1:, :2] != both[:-1, :2]).any(axis=1)
        return Sightings(both[last], np.unique(np.concatenate([earlier.observed, self.observed]), axis=0))

    def databases(self) -> list[int]:
        """Numbers of the databases that occur."""
        return sorted({*self.current[:, 0].tolist(), *self.observed[:, 0].tolist()})


def decode_sightings(bodies: Mapping[int, bytes | None], moments: Mapping[int, datetime]) -> Sightings:
    """What was written in the hour of each moment; earlier hours are forgotten."""
    current: dict[int, bytes] = {}
    observed: dict[int, bytes] = {}
    for number in sorted(bodies):
        body = bodies[number]
        if body is None:
            continue
        hour, count = _PREFIX.unpack_from(body)
        if hour == epoch_us(moments[number]) // HOUR_US:
            middle = _PREFIX.size + count * _PAIR_BYTES
            current[number], observed[number] = body[_PREFIX.size : middle], body[middle:]
    return Sightings(_rows(current), _rows(observed))


def encode_sightings(sightings: Sightings, moments: Mapping[int, datetime], changed: list[int]) -> dict[int, bytes]:
    """One value for each of the changed databases."""
    current, observed = _by_database(sightings.current, changed), _by_database(sightings.observed, changed)
    bodies = {}
    for number in changed:
        hour = epoch_us(moments[number]) // HOUR_US
        bodies[number] = _PREFIX.pack(hour, len(current[number])) + _bytes(current[number]) + _bytes(observed[number])
    return bodies


def _rows(bodies: Mapping[int, bytes]) -> Longs:
    pairs = np.frombuffer(b"".join(bodies.values()), "<i8").reshape(-1, 2)
    lengths = [len(body) // _PAIR_BYTES for body in bodies.values()]
    return np.column_stack([np.repeat(np.array(list(bodies), np.int64), lengths), pairs])


def _bytes(rows: Longs) -> bytes:
    return np.ascontiguousarray(rows[:, 1:], "<i8").tobytes()


def _by_database(rows: Longs, numbers: list[int]) -> dict[int, Longs]:
    """Parts of rows that are sorted by database."""
    first = np.searchsorted(rows[:, 0], numbers, "left")
    last = np.searchsorted(rows[:, 0], numbers, "right")
    return {number: rows[a:b] for number, a, b in zip(numbers, first, last, strict=True)}


def _contained(rows: Longs, others: Longs) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    if not len(rows) or not len(others):
        return np.zeros(len(rows), bool)
    # What ran in one tick mostly ran in the one before.
    if np.array_equal(rows, others):
        return np.ones(len(rows), bool)
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.isin(_whole_rows(rows), _whole_rows(others))
    return found


def _whole_rows(rows: Longs) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """Each row as one opaque value, so that rows compare as a whole."""
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).reshape(-1)
