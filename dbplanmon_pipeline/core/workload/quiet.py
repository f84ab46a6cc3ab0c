"""Which statements that run at this time of every day do not run at all any more."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.records import Record
from dbplanmon_pipeline.core.workload.changes import WorkloadPolicy

_LEAST_DAYS = 3


@dataclass(frozen=True, slots=True)
class QuietStatement:
    """A statement that did not run, and what it did per hour at the median of as many earlier days at this time."""

    ref: DatabaseRef
    query_hash: int
    normal_seconds_per_hour: float
    normal_executions_per_hour: float
    days: int


def quiet_statements(
    keys: Sequence[tuple[DatabaseRef, int]], past: Floats, policy: WorkloadPolicy
) -> list[QuietStatement]:
    """Of statements that do not run now those that always did and were dear, the dearest first.

    Args:
        keys: statements without an execution.
        past: float64 [statements, windows, 2], see `per_hour`; of three windows at least.
        policy: what is dear.
    """
    found = []
    for (ref, query_hash), windows in zip(keys, past, strict=True):
        known = windows[~np.isnan(windows[:, 1])]
        if len(known) < _LEAST_DAYS or not (known[:, 0] > 0).all():
            continue
        executions, seconds = np.median(known, axis=0).tolist()
        if seconds >= policy.min_extra(ref):
            found.append(QuietStatement(ref, query_hash, seconds, executions, len(known)))
    return sorted(found, key=lambda one: (-one.normal_seconds_per_hour, one.ref, one.query_hash))


def quiet_record(quiet: QuietStatement) -> Record:
    """For JSON."""
    return {
        "database": str(quiet.ref),
        "query_hash": hash_text(quiet.query_hash),
        "normal_seconds_per_hour": quiet.normal_seconds_per_hour,
        "normal_executions_per_hour": quiet.normal_executions_per_hour,
        "earlier_days": quiet.days,
    }
