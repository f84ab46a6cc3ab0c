"""When servers were started anew or failed over: their caches are cold then, which some statements feel for a while."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.causes.candidates import FAILOVER_FACTS, happened_at
from dbplanmon_pipeline.core.causes.context_facts import RECOVERED_FACT, STARTED_FACT, is_all_clear, took_over
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange

RESTART_FACTS = (STARTED_FACT, RECOVERED_FACT, *FAILOVER_FACTS)
"""Facts of a database whose change says that its caches are cold."""


@dataclass(frozen=True, slots=True)
class Restart:
    """One start of a server, by hand or after a crash, or one failover.

    Attributes:
        instance: where.
        database: the one that failed over; empty where it concerns the whole server.
        at: aware UTC.
        is_dated: the server told the moment; else it is that of the reading which saw it, up to one collection later.
        word: `restart`, `crash` or `failover`.
    """

    instance: str
    database: str
    at: datetime
    is_dated: bool
    word: str

    def concerns(self, ref: DatabaseRef) -> bool:
        """Whether a database lost its caches."""
        return self.instance == ref.instance and self.database in ("", ref.database)

    def earliest(self, step: timedelta) -> datetime:
        """Intervals that ended later saw it; the last one of a reading ends shortly before that sees the facts."""
        return self.at if self.is_dated else self.at - step / 2


@dataclass(frozen=True, slots=True)
class Restarts:
    """What is known of some time, oldest first."""

    known: Sequence[Restart] = field(default=())

    @classmethod
    def of(cls, changes: Iterable[FactChange]) -> "Restarts":
        """From facts that changed; every database of a server tells of the same start."""
        found = {_restart(change) for change in changes if change.name in RESTART_FACTS and not is_all_clear(change)}
        return cls(sorted(found, key=lambda one: (one.at, one.instance, one.database, one.word)))

    def of_database(self, ref: DatabaseRef, until: datetime, step: timedelta) -> list[Restart]:
        """Those that a reading of the database which ended by then has seen, oldest first."""
        return [one for one in self.known if one.concerns(ref) and one.earliest(step) < until]


def _restart(change: FactChange) -> Restart:
    instance, at, seen_at = change.ref.instance, happened_at(change), change.seen_at
    if change.name in FAILOVER_FACTS:
        return Restart(instance, change.ref.database, seen_at, is_dated=False, word="failover")
    if took_over(change):
        return Restart(instance, "", seen_at, is_dated=False, word="failover")
    return Restart(instance, "", at, at < seen_at, "crash" if change.name == RECOVERED_FACT else "restart")
