"""Learn what is normal for every statement, as of one moment; incidents teach nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.grouping import parts_of_instances
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import AnalysisStore
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Detector, ExcludedSpan
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS

GROUP = 16
"""Databases learnt from at once: with 50 statements each, about 1.6 million intervals of a week."""


@dataclass(frozen=True, slots=True)
class BaselineReport:
    """What one rebuild did: statements learnt, left out because an incident is open, and intervals read."""

    as_of: datetime
    statements: int
    frozen: int
    intervals: int


def rebuild_baselines(store: AnalysisStore, detector: Detector, *, as_of: datetime, days: int) -> BaselineReport:
    """Learn from the `days` before `as_of` and add a version; repeating it writes the same version again.

    A statement with an open incident keeps the version it had; intervals of past incidents are left out.
    """
    since = as_of - timedelta(days=days)
    past = [i for i in store.recent_incidents(since) if i.began_at < as_of]
    now_open = [i for i in store.open_incidents() if i.began_at < as_of]
    frozen = {(i.instance, i.database, i.query_hash) for i in now_open if i.scope is IncidentScope.QUERY}
    incidents = [*past, *now_open]
    statements = left_out = intervals = 0
    # A week of a large fleet does not fit into memory. Parts of one instance are enough to tell what its statements
    # have in common.
    for group in parts_of_instances(store.known_databases(), GROUP):
        history = store.interval_frame(since, as_of, columns=DETECTOR_COLUMNS, databases=group)
        learnt = detector.learn(history, as_of, excluded_spans(incidents, history, as_of))
        kept = without_statements(learnt, history.databases, frozen)
        statements += store.save_baselines(kept)
        left_out += len(learnt.table) - len(kept.table)
        intervals += len(history.rows)
    return BaselineReport(as_of, statements, left_out, intervals)


def excluded_spans(incidents: Sequence[Incident], history: IntervalFrame, as_of: datetime) -> list[ExcludedSpan]:
    """What incidents that began before `as_of` keep from being learnt from `history`."""
    return _spans(incidents, as_of) + _instance_spans(incidents, history, as_of)


def _spans(incidents: Sequence[Incident], as_of: datetime) -> list[ExcludedSpan]:
    return [
        ExcludedSpan(DatabaseRef(i.instance, i.database), i.query_hash, i.began_at, i.closed_at or as_of)
        for i in incidents
        if i.scope is IncidentScope.QUERY
    ]


def _instance_spans(incidents: Sequence[Incident], history: IntervalFrame, as_of: datetime) -> list[ExcludedSpan]:
    """An incident of a whole instance or database blanks every statement there for that time."""
    return [
        ExcludedSpan(ref, 0, incident.began_at, incident.closed_at or as_of)
        for incident in incidents
        if incident.scope is not IncidentScope.QUERY
        for ref in history.databases.values()
        if ref.instance == incident.instance and incident.database in ("", ref.database)
    ]


def without_statements(
    learnt: BaselineSet, databases: dict[int, DatabaseRef], frozen: set[tuple[str, str, int]]
) -> BaselineSet:
    """The baselines without those of the statements (instance, database, query hash) whose incident is open."""
    if not frozen or learnt.table.empty:
        return learnt
    keep = np.array(
        [
            (databases[int(d)].instance, databases[int(d)].database, int(q)) not in frozen
            for d, q in learnt.table[["database_id", "query_hash"]].itertuples(index=False)
        ]
    )
    return replace(learnt, table=learnt.table[keep].reset_index(drop=True), parameters=learnt.parameters[keep])
