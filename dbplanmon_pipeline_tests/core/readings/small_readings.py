"""Small counter readings and interval rows, written by name."""

from datetime import UTC, datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading, IntervalRows

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def us(moment):
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def counter(key, **fields):
    """One counter: `life`, `query`, `plan`, `start`/`end` (moments), `began`, and any counter or extreme by name."""
    return {"key": key, **fields}


def _table(entries, names, default):
    return np.array([[entry.get(name, default) for name in names] for entry in entries], float).reshape(-1, len(names))


def _longs(values):
    return np.array(values, dtype=np.int64)


def reading(moment, *entries):
    """A reading of `counter(...)` entries; counters not named are 0 for execution_count, NaN otherwise."""
    entries = [{"execution_count": 0, **entry} for entry in entries]
    return CounterReading(
        read_at=moment,
        keys=tuple(entry["key"] for entry in entries),
        lives=tuple(entry.get("life", "") for entry in entries),
        query_hash=_longs([entry.get("query", 1) for entry in entries]),
        plan_hash=_longs([entry.get("plan", 0) for entry in entries]),
        values=_table(entries, COUNTERS, np.nan),
        extrema=_table(entries, EXTREMA, np.nan),
        interval_start_us=_longs([us(entry["start"]) if "start" in entry else 0 for entry in entries]),
        interval_end_us=_longs([us(entry["end"]) if "end" in entry else 0 for entry in entries]),
        life_began_us=_longs([us(entry["began"]) if "began" in entry else 0 for entry in entries]),
    )


def rows(*entries):
    """Interval rows from dictionaries: `query`, `plan`, `start`/`end` (moments), `reset`, and any figure by name."""
    return IntervalRows(
        _longs([entry.get("query", 1) for entry in entries]),
        _longs([entry.get("plan", 0) for entry in entries]),
        _longs([us(entry.get("start", at(0))) for entry in entries]),
        _longs([us(entry.get("end", at(5))) for entry in entries]),
        _table(entries, COUNTERS, np.nan),
        _table(entries, EXTREMA, np.nan),
        np.array([entry.get("reset", False) for entry in entries], dtype=bool),
    )


def column(found, name):
    """One figure of all rows as a list."""
    if name in COUNTERS:
        return found.values[:, COUNTERS.index(name)].tolist()
    return found.extrema[:, EXTREMA.index(name)].tolist()
