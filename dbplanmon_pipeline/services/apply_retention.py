"""Mark what has expired, and remove what was marked long enough ago, in small transactions with pauses between them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.ports import ExpiryMark, RetentionStore
from dbplanmon_pipeline.core.retention import RetentionPolicy, due, held_by, limits


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """One kind of data: its limit, rows or days newly marked, waiting under marks, removed, and left for next time."""

    subject: str
    before: datetime
    marked: int
    removed: int
    waiting: int
    finished: bool = True


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What one run did, or would do.

    Attributes:
        at: moment of the run.
        dry_run: nothing was marked or removed.
        subjects: one entry per kind, in the order of removal.
        held_by: id of the open incident for whose sake days stay beyond their age; empty where none is.
        swept: files of the archive that nothing named any more.
        stopped: the run was asked to end early.
    """

    at: datetime
    dry_run: bool
    subjects: tuple[SubjectReport, ...]
    held_by: str = ""
    swept: int = 0
    stopped: bool = False

    @property
    def marked(self) -> int:
        """Rows and days newly marked."""
        return sum(one.marked for one in self.subjects)

    @property
    def removed(self) -> int:
        """Rows and days removed."""
        return sum(one.removed for one in self.subjects)


def apply_retention(
    store: RetentionStore,
    policy: RetentionPolicy,
    *,
    now: datetime,
    dry_run: bool = False,
    at_once: bool = False,
    actor: str = "",
    stopped: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
) -> RetentionReport:
    """One run of the retention. It may be killed at any moment: the next one goes on.

    Args:
        store: where the data lies.
        policy: ages, grace, batches and pauses.
        now: aware UTC.
        dry_run: count only. `marked` is then what the run would mark, `removed` what it would remove.
        at_once: remove what has expired without waiting for the grace period.
        actor: the person who asked for that; goes into the audit before anything goes.
        stopped: asked between two transactions; true ends the run, what is left goes next time.
        sleep: waits so many seconds.
    """
    if at_once and actor and not dry_run:
        store.append_audit(actor, "removed_at_once", "expired data", {"grace": str(policy.grace)})
    incidents = store.open_incidents()
    run = _Run(store, policy, now, now if at_once else now - policy.grace, dry_run, stopped, sleep)
    found = limits(policy, now, incidents)
    run.mark(found)
    subjects = tuple(run.apply(subject, limit) for subject, limit in found.items())
    swept = 0 if dry_run or stopped() else len(store.sweep_archive())
    return RetentionReport(now, dry_run, subjects, held_by(policy, now, incidents), swept, stopped())


def take_back(store: RetentionStore, subjects: Sequence[str], *, actor: str) -> list[ExpiryMark]:
    """Take marks away, all of them or those of some kinds; what they named stays until it is marked again.

    Returns:
        The marks that were there.
    """
    marks = [mark for mark in store.expiry_marks() if not subjects or mark.subject in subjects]
    if marks:
        store.unmark_expired(marks)
        for subject in dict.fromkeys(mark.subject for mark in marks):
            count = sum(mark.rows for mark in marks if mark.subject == subject)
            store.append_audit(actor, "expiry_taken_back", subject, {"rows": count})
    return marks


class _Run:
    def __init__(
        self,
        store: RetentionStore,
        policy: RetentionPolicy,
        now: datetime,
        earliest: datetime,
        dry_run: bool,
        stopped: Callable[[], bool],
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._policy = policy
        self._now = now
        self._earliest = earliest
        self._dry_run = dry_run
        self._stopped = stopped
        self._sleep = sleep
        self._marks = store.expiry_marks()
        self._new: dict[str, ExpiryMark] = {}

    def mark(self, limits_by_subject: dict[str, datetime]) -> None:
        """Mark what has expired since the last marks."""
        for subject, limit in limits_by_subject.items():
            known = [mark for mark in self._marks if mark.subject == subject]
            if any(mark.before >= limit for mark in known):
                continue
            rows = self._store.expired(subject, limit)
            fresh = rows - sum(mark.rows for mark in known)
            if rows and (fresh > 0 or not known):
                self._new[subject] = ExpiryMark(subject, limit, self._now, max(fresh, 0))
        if not self._dry_run and self._new:
            self._store.mark_expired(list(self._new.values()))

    def apply(self, subject: str, limit: datetime) -> SubjectReport:
        """Remove what the ripe marks of one kind allow."""
        marks = [mark for mark in [*self._marks, *filter(None, [self._new.get(subject)])] if mark.subject == subject]
        allowed = due(marks, limit, self._earliest)
        ripe = [mark for mark in marks if mark.marked_at <= self._earliest]
        removed, finished = (0, True) if allowed is None else self._remove(subject, allowed)
        if finished and ripe and not self._dry_run:
            self._store.unmark_expired(ripe)
        waiting = sum(mark.rows for mark in marks if mark not in ripe)
        marked = self._new[subject].rows if subject in self._new else 0
        return SubjectReport(subject, limit, marked, removed, waiting, finished)

    def _remove(self, subject: str, before: datetime) -> tuple[int, bool]:
        if self._dry_run:
            return self._store.expired(subject, before), True
        removed = 0
        for went in self._store.removals(subject, before, self._policy.batch_rows):
            removed += went
            if self._stopped():
                return removed, False
            self._sleep(self._policy.pause / timedelta(seconds=1))
        return removed, not self._stopped()
