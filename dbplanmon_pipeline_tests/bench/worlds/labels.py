"""What really happened, in the form of a table of labels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline_tests.bench.worlds.clock import HOUR
from dbplanmon_pipeline_tests.bench.worlds.statement import Statement

_FELT = 1.05
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Event:
    """One event; ticks count from the first, `end_t` is exclusive.

    Attributes:
        scope: `query`, `database` or `instance`; numbers of what the scope leaves out are -1.
        kind / cause: in words of the world.
        magnitude: cost over normal while it was bad.
        true_regression: people should be told.
        neutral: alerts on it count neither way.
        extra_us_per_hour: what it cost.
        family: of the statement.
        bad: int64 [n], ticks in which it was felt.
    """

    scope: str
    instance_id: int
    database_id: int
    query_id: int
    kind: str
    cause: str
    magnitude: float
    onset_t: int
    end_t: int
    true_regression: bool = False
    neutral: bool = False
    extra_us_per_hour: float = 0.0
    family: str = ""
    bad: Longs = field(default_factory=lambda: _NONE)

    def seen(self, landed: Longs, lands: Longs) -> dict[str, object]:
        """The event as a row of the table.

        Args:
            landed: ticks at whose ends rows of the statement were seen, rising.
            lands: int64 [ticks], where each tick landed; -1 lost.
        """
        where = lands[self.bad]
        found = np.intersect1d(where[where >= 0], landed)
        never = -1 if self.true_regression else self.onset_t
        row = {name: value for name, value in vars(self).items() if name != "bad"}
        return row | {"first_bad_t": int(found[0]) if len(found) else never, "bad_intervals": len(found)}


@dataclass
class Labels:
    """Events of a world."""

    events: list[Event] = field(default_factory=list)

    def wide(self, kind: str, instance: int, span: tuple[int, int], factor: float, database: int = -1) -> None:
        """A whole instance, or one database of it, was slow."""
        scope = "instance" if database < 0 else "database"
        self.events.append(Event(scope, instance, database, -1, kind, kind, factor, *span))

    def harmless(self, statement: Statement, kind: str, span: tuple[int, int], *, neutral: bool = False) -> None:
        """Something that is no regression."""
        where = (statement.instance, statement.database, statement.number)
        event = Event("query", *where, kind, kind, 1.0, *span, neutral=neutral, family=statement.family)
        self.events.append(event)

    @contextmanager
    def regression(self, statement: Statement, kind: str, cause: str) -> Iterator[None]:
        """What is done to the statement inside makes it slower, and is labelled by how much.

        Raises:
            ValueError: it did not.
        """
        before = statement.mean_us()
        yield
        rises = [now / was for now, was in zip(statement.mean_us(), before, strict=True)]
        bad = np.flatnonzero(np.maximum(*rises) > _FELT)
        if not len(bad):
            raise ValueError(f"{kind} made statement {statement.number} no slower")
        felt = (_felt(statement.calls[bad], was[bad], rise[bad]) for was, rise in zip(before, rises, strict=True))
        factor, extra_us = max(felt)
        begin, end = int(bad[0]), int(bad[-1]) + 1
        event = Event(
            "query",
            statement.instance,
            statement.database,
            statement.number,
            kind,
            cause,
            factor,
            begin,
            end,
            true_regression=True,
            extra_us_per_hour=extra_us / (end - begin) * HOUR,
            family=statement.family,
            bad=bad,
        )
        self.events.append(event)

    def table(self, landed: dict[int, Longs], lands: Sequence[Longs]) -> pd.DataFrame:
        """One row per event: its attributes, `event_id`, `first_bad_t` (-1: never seen) and `bad_intervals`.

        Args:
            landed: by statement; see `Event.seen`.
            lands: by instance; see `Event.seen`.
        """
        rows = [event.seen(landed.get(event.query_id, _NONE), lands[event.instance_id]) for event in self.events]
        table = pd.DataFrame(rows)
        table.insert(0, "event_id", np.arange(len(table)))
        return table


def _felt(calls: Floats, was: Floats, rise: Floats) -> tuple[float, float]:
    """Cost of all executions over normal, and the extra cost [microseconds]."""
    normal = calls * was
    extra = float((normal * (rise - 1)).sum())
    return 1 + extra / max(float(normal.sum()), 1e-9), extra
