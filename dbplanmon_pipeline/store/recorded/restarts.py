"""Restarts that a record tells of: all counters of an instance began again within one interval."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.restarts import Restart, Restarts

RESET = "counter_reset"

_LEAST = 4
_SHARE = 0.9
"""Of so many rows at least, and of this share of them: single plans leave the cache on their own."""


class Resets:
    """Counts rows, and those whose counter began again, of each instance and interval in which there is one."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, int]] = Counter()
        self._began_again: Counter[tuple[str, int]] = Counter()

    def note(self, end_us: Longs, instances: Sequence[str], database: Longs, began_again: NDArray[np.bool_]) -> None:
        """Take some rows into account; those of one instance and interval come together.

        Args:
            end_us: int64 [rows], end of each interval [epoch microseconds].
            instances: instance of each database.
            database: int64 [rows], number of the database of each.
            began_again: bool [rows].
        """
        asked = np.isin(end_us, np.unique(end_us[began_again]))
        names, code = np.unique(np.array(instances, dtype=str), return_inverse=True)
        ends, number = np.unique(end_us[asked], return_inverse=True)
        cell = code[database[asked]] * len(ends) + number
        size = len(names) * len(ends)
        for counter, chosen in ((self._rows, np.ones(len(cell), np.bool_)), (self._began_again, began_again[asked])):
            counts = np.bincount(cell[chosen], minlength=size)
            for place in np.flatnonzero(counts).tolist():
                name, end = divmod(place, len(ends))
                counter[str(names[name]), int(ends[end])] += int(counts[place])

    def restarts(self) -> Restarts:
        """Those that are sure, oldest first; seen by the reading at the end of the interval."""
        found = [
            Restart(instance, "", from_epoch_us(end_us), is_dated=False, word="restart")
            for (instance, end_us), count in self._began_again.items()
            if count >= max(_LEAST, _SHARE * self._rows[instance, end_us])
        ]
        return Restarts(sorted(found, key=lambda one: (one.at, one.instance)))
