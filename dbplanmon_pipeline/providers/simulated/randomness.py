"""Pseudo-random figures by position: the n-th figure of a stream never depends on which others were asked for.

A counter-based generator of our own (splitmix64), because numpy may change the streams of its generators between
versions and the simulated history must stay the same for ever.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs

Words = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def stable_hash(*parts: object) -> int:
    """63-bit hash of some names and numbers, never 0; the same in every process."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 1) or 1


def stream_keys(*parts: object, count: int) -> Words:
    """Start values of `count` independent streams."""
    first = np.full(count, stable_hash(*parts), dtype=np.uint64)
    return _mixed(first + np.arange(count, dtype=np.uint64) * _STEP)


def uniforms(keys: Words, position: Longs | int) -> Floats:
    """Figures in [0, 1) at a position of each stream; the two arrays broadcast, a single position serves all."""
    words = _mixed(keys + (np.atleast_1d(position).astype(np.uint64) + np.uint64(1)) * _STEP)
    return (words >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def normals(keys: Words, position: Longs | int) -> Floats:
    """Standard normal figures at a position of each stream; the two arrays broadcast."""
    radius = np.sqrt(-2.0 * np.log1p(-uniforms(keys, 2 * position)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniforms(keys, 2 * position + 1)))


def _mixed(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))
