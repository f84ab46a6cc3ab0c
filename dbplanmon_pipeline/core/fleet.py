"""Which databases should be read now, and how each stands; pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.figures import DatabaseState

WHOLE_INSTANCE = "*"
"""Name of the database in the outcome of an instance whose databases could not be listed."""

_GONE_AFTER = 12
_LEAST_GONE_AFTER = timedelta(hours=1)


def watched(
    states: Iterable[DatabaseState],
    expected: Iterable[DatabaseRef],
    instances: Mapping[str, bool],
    cadence: timedelta,
) -> list[DatabaseState]:
    """The databases of the settings and those found by discovery, by name.

    A database that discovery no longer lists has no outcomes any more while others of its instance have: after twelve
    readings, or an hour, it is no longer waited for. An instance whose databases could not be listed stands for them
    until they can be.

    Args:
        states: every database that a reading was ever tried of.
        expected: databases that the settings name.
        instances: enabled instances, true where databases are discovered.
        cadence: time between two readings.
    """
    gone_after = max(_GONE_AFTER * cadence, _LEAST_GONE_AFTER)
    known = {state.ref: state for state in states}
    newest: dict[str, datetime] = {}
    for ref, state in known.items():
        if state.logged_at is not None:
            newest[ref.instance] = max(newest.get(ref.instance, state.logged_at), state.logged_at)
    chosen = {ref: known.get(ref, DatabaseState(ref, None, None)) for ref in expected}
    chosen |= {
        ref: state
        for ref, state in known.items()
        if instances.get(ref.instance)
        and state.logged_at
        and newest[ref.instance] - state.logged_at <= (gone_after if ref.database != WHOLE_INSTANCE else timedelta())
    }
    return [chosen[ref] for ref in sorted(chosen)]
