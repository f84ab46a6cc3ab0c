"""One number for a group and a moment, so that one search finds the moments of many groups."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Longs


@dataclass(frozen=True, slots=True)
class TimedKeys:
    """Keys that order rows by their group, then by their time.

    Groups times width must stay below 2^63, as it does for 290,000 groups over a year: so times count from the first
    row and not from 1970, which 5,200 groups would exceed.

    Attributes:
        begin: end of the first row [microseconds since 1970].
        width: time beyond the end of the last row [microseconds].
    """

    begin: int
    width: int

    @classmethod
    def of(cls, end_us: Longs) -> Self:
        """For rows that ended then, int64 [rows] in any order, perhaps none."""
        if not len(end_us):
            return cls(0, 2)
        begin = int(end_us.min())
        return cls(begin, int(end_us.max()) - begin + 2)

    def of_rows(self, group: Longs, end_us: Longs) -> Longs:
        """Keys of rows."""
        return group * self.width + (end_us - self.begin)

    def until(self, group: Longs, moment_us: Longs | int) -> Longs:
        """For each group a key that its rows up to a moment, of any time, do not exceed; later ones do."""
        found: Longs = group * self.width + np.clip(moment_us - self.begin, -1, self.width - 2)
        return found
