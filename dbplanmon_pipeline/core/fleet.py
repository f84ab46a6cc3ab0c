"""Which databases should be read now, and how each stands; pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.figures import DatabaseState


def watched(
    states: Iterable[DatabaseState],
    expected: Iterable[DatabaseRef],
    instances: Mapping[str, bool],
    gone_after: timedelta,
) -> list[DatabaseState]:
    """The databases of the settings and those found by discovery, by name.

    A database that discovery no longer lists has no outcomes any more while others of its instance have: after
    `gone_after` it is no longer waited for.

    Args:
        states: every database ever read.
        expected: databases that the settings name.
        instances: enabled instances, true where databases are discovered.
        gone_after: longest pause of a database behind the newest outcome of its instance.
    """
    known = {state.ref: state for state in states}
    newest: dict[str, datetime] = {}
    for ref, state in known.items():
        if state.logged_at is not None:
            newest[ref.instance] = max(newest.get(ref.instance, state.logged_at), state.logged_at)
    chosen = {ref: known.get(ref, DatabaseState(ref, None, None)) for ref in expected}
    chosen |= {
        ref: state
        for ref, state in known.items()
        if instances.get(ref.instance) and state.logged_at and newest[ref.instance] - state.logged_at <= gone_after
    }
    return [chosen[ref] for ref in sorted(chosen)]
