"""How long each kind of data is kept, and which marks are due: pure rules over moments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.ports import ExpiryMark

WHOLE_DAYS = frozenset({"interval_day", "archive_segment"})
"""Kinds that go by UTC days; a baseline and an open incident need those of their window."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long data is kept and how it is removed.

    Attributes:
        ages: by kind, in the order of removal.
        grace: between marking and removal.
        baseline_window: days of intervals a baseline is learnt from.
        batch_rows: most rows of one transaction.
        pause: between two transactions.
    """

    ages: Mapping[str, timedelta]
    grace: timedelta
    baseline_window: timedelta
    batch_rows: int
    pause: timedelta


def limits(policy: RetentionPolicy, now: datetime, open_incidents: Sequence[Incident]) -> dict[str, datetime]:
    """Moment before which each kind is superfluous: a UTC midnight, so that a day makes one mark.

    Whole days that a baseline learns from, or that an open incident is compared with, stay.
    """
    needed = _needed_from(policy, now, open_incidents)
    found = {}
    for subject, age in policy.ages.items():
        limit = now - age
        found[subject] = _midnight(min(limit, needed) if subject in WHOLE_DAYS else limit)
    return found


def held_by(policy: RetentionPolicy, now: datetime, open_incidents: Sequence[Incident]) -> str:
    """Id of the open incident for whose sake days stay that are older than their age; empty where none is."""
    oldest = min(open_incidents, key=lambda incident: incident.began_at, default=None)
    ages = [age for subject, age in policy.ages.items() if subject in WHOLE_DAYS]
    if oldest is None or not ages or oldest.began_at - policy.baseline_window >= now - max(ages):
        return ""
    return oldest.incident_id


def due(marks: Iterable[ExpiryMark], limit: datetime, earliest: datetime) -> datetime | None:
    """Limit up to which the marks of one kind let rows go now; None where there is nothing to do.

    A mark beyond the present limit counts only up to it: somebody has prolonged the age since, or an incident began.

    Args:
        marks: of the kind.
        limit: of the kind at present.
        earliest: marks younger than this still have their grace.
    """
    ripe = [mark.before for mark in marks if mark.marked_at <= earliest]
    return min(max(ripe), limit) if ripe else None


def _needed_from(policy: RetentionPolicy, now: datetime, open_incidents: Sequence[Incident]) -> datetime:
    began = min((incident.began_at for incident in open_incidents), default=now)
    return min(began, now) - policy.baseline_window


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
