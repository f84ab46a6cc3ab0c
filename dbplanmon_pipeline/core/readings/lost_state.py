"""Where an earlier reading is known to have been stored, but what it said can no longer be used."""

from dataclasses import replace
from datetime import datetime

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.readings.deltas import Delta, difference
from dbplanmon_pipeline.core.readings.merging import take_rows

NOTE = "the last reading was stored by another version of this program: counting begins anew"


def begin_anew(known_until: datetime, current: CounterReading) -> Delta:
    """Work of a reading that is certain to be new: that of engine intervals which began after the lost reading.

    Of an interval that was running then, and of counters that live on without intervals, nobody can tell what was
    counted already, so none of it is.

    Args:
        known_until: moment of the lost reading, aware UTC.
        current: the reading to record.

    Returns:
        Not accepted where `current` is not younger.
    """
    delta = difference(None, current)
    seconds = (current.read_at - known_until).total_seconds()
    known_us = epoch_us(known_until)
    rows = take_rows(delta.rows, np.flatnonzero(delta.rows.interval_start_us >= known_us))
    if seconds <= 0:
        note = "nothing counted: the stored reading is not older, and of another version of this program"
        return replace(delta, rows=take_rows(rows, np.arange(0)), new_lives=0, accepted=False, note=note)
    new = int((current.interval_start_us >= known_us).sum())
    return replace(delta, rows=rows, new_lives=new, seconds=seconds, note=NOTE)
