"""Columns of hashes as one array."""

from collections.abc import Sequence

import numpy as np

from dbplanmon_pipeline.core.counters import Longs


def hash_column(values: Sequence[bytes | None]) -> Longs:
    """Eight bytes each, most significant first; NULL is 0, the unknown hash."""
    return np.frombuffer(b"".join(value or bytes(8) for value in values), dtype=">i8").astype(np.int64)
