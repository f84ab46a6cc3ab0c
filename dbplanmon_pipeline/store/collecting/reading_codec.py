"""One counter reading as one compressed value, and back.

Layout: version, header length, header (JSON: keys, lives, column names), then the arrays as little-endian bytes in the
order of `_LONGS` and `_MATRICES`; all of it compressed by zstd level 1, since a reading lives for one tick. The moment
of the reading and the time it covers stand beside the value: where nothing ran, the value stays what it was.
"""

import hashlib
import json
import struct
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import zstandard

from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading
from dbplanmon_pipeline.errors import StoreError

_VERSION = 1
_PREFIX = struct.Struct("<HI")
_LONGS = ("query_hash", "plan_hash", "interval_start_us", "interval_end_us", "life_began_us")
_MATRICES = ("values", "extrema")
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ReadingBody:
    """A reading without its moment.

    Attributes:
        compressed: what is stored.
        digest: equal for equal readings.
    """

    compressed: bytes
    digest: bytes


class ReadingEncoder:
    """Encodes many readings one after the other; not for several threads at once."""

    def __init__(self) -> None:
        # Making a compressor took five times as long as compressing a reading of 50 statements.
        self._compressor = zstandard.ZstdCompressor(level=1)

    def encode(self, reading: CounterReading) -> ReadingBody:
        """The reading without its moment."""
        raw = _raw(reading)
        digest = hashlib.blake2b(raw, digest_size=_DIGEST_BYTES).digest()
        return ReadingBody(self._compressor.compress(raw), digest)


def _raw(reading: CounterReading) -> bytes:
    facts = {"keys": reading.keys, "lives": reading.lives, "counters": COUNTERS, "extrema": EXTREMA}
    header = json.dumps(facts, separators=(",", ":")).encode()
    parts = [_PREFIX.pack(_VERSION, len(header)), header]
    parts += [np.ascontiguousarray(getattr(reading, name), dtype="<i8").tobytes() for name in _LONGS]
    parts += [np.ascontiguousarray(getattr(reading, name), dtype="<f8").tobytes() for name in _MATRICES]
    return b"".join(parts)


def decode_reading(
    body: bytes, read_at: datetime, covers_from_us: int = 0, next_from_us: int = 0
) -> CounterReading | None:
    """The reading; None when another set of counters was stored, so that nothing is differenced against it.

    Raises:
        StoreError: the value was written by a newer program or is damaged.
    """
    try:
        raw = zstandard.ZstdDecompressor().decompress(body)
        version, length = _PREFIX.unpack_from(raw)
    except (zstandard.ZstdError, struct.error) as error:
        raise StoreError("a counter state is damaged; delete its row in counter_state to begin anew") from error
    if version != _VERSION:
        raise StoreError(f"a counter state has version {version}, this program reads {_VERSION}; install the newer one")
    header = json.loads(raw[_PREFIX.size : _PREFIX.size + length])
    if tuple(header["counters"]) != COUNTERS or tuple(header["extrema"]) != EXTREMA:
        return None
    # One plan has the same life in all of its intervals, and in every database of a fleet.
    keys, lives = tuple(header["keys"]), tuple(map(sys.intern, header["lives"]))
    arrays = _arrays(len(keys), raw, _PREFIX.size + length)
    return CounterReading(read_at, keys, lives, **arrays, covers_from_us=covers_from_us, next_from_us=next_from_us)


def _arrays(rows: int, raw: bytes, offset: int) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name in _LONGS:
        arrays[name] = np.frombuffer(raw, "<i8", rows, offset)
        offset += rows * 8
    for name, columns in zip(_MATRICES, (len(COUNTERS), len(EXTREMA)), strict=True):
        arrays[name] = np.frombuffer(raw, "<f8", rows * columns, offset).reshape(rows, columns)
        offset += rows * columns * 8
    return arrays
