"""One counter reading as one compressed value, and back.

Layout: version, header length, header (JSON: moment, keys, lives), then the arrays as little-endian bytes in the order
of `_ARRAYS`; all of it compressed by zstd level 1, since a reading lives for one tick.
"""

import json
import struct
from datetime import UTC, datetime
from typing import Any

import numpy as np
import zstandard

from dbplanmon_pipeline.core.counters import COUNTERS, EXTREMA, CounterReading
from dbplanmon_pipeline.errors import StoreError

_VERSION = 1
_PREFIX = struct.Struct("<HI")
_LONGS = ("query_hash", "plan_hash", "interval_start_us", "interval_end_us", "life_began_us")
_MATRICES = ("values", "extrema")


def encode_reading(reading: CounterReading) -> bytes:
    """The reading as bytes."""
    header = json.dumps(
        {
            "read_at": reading.read_at.isoformat(),
            "keys": reading.keys,
            "lives": reading.lives,
            "counters": COUNTERS,
            "extrema": EXTREMA,
            "covers_from_us": reading.covers_from_us,
            "next_from_us": reading.next_from_us,
        },
        separators=(",", ":"),
    ).encode()
    parts = [_PREFIX.pack(_VERSION, len(header)), header]
    parts += [np.ascontiguousarray(getattr(reading, name), dtype="<i8").tobytes() for name in _LONGS]
    parts += [np.ascontiguousarray(getattr(reading, name), dtype="<f8").tobytes() for name in _MATRICES]
    return zstandard.ZstdCompressor(level=1).compress(b"".join(parts))


def decode_reading(body: bytes) -> CounterReading | None:
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
    return _reading(header, raw, _PREFIX.size + length)


def _reading(header: dict[str, Any], raw: bytes, offset: int) -> CounterReading:
    rows = len(header["keys"])
    longs = {}
    for name in _LONGS:
        longs[name] = np.frombuffer(raw, "<i8", rows, offset)
        offset += rows * 8
    values = np.frombuffer(raw, "<f8", rows * len(COUNTERS), offset).reshape(rows, len(COUNTERS))
    offset += values.nbytes
    extrema = np.frombuffer(raw, "<f8", rows * len(EXTREMA), offset).reshape(rows, len(EXTREMA))
    return CounterReading(
        read_at=datetime.fromisoformat(header["read_at"]).astimezone(UTC),
        keys=tuple(header["keys"]),
        lives=tuple(header["lives"]),
        values=values,
        extrema=extrema,
        covers_from_us=header["covers_from_us"],
        next_from_us=header["next_from_us"],
        **longs,
    )
