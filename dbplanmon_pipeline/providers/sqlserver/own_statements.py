"""Which statements of an instance are ours, told by the mark in their text."""

import threading
from collections.abc import Collection, Iterable, Mapping

from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement_in
from dbplanmon_pipeline.providers.sqlserver.value_lists import value_lists


class OwnStatements:
    """Query hashes that were looked at, and those that are ours; shared by all readers of a provider.

    A hash means the same in every database. What an earlier reading holds was looked at then and is not ours, so each
    reading looks at a handful of texts only.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._judged: set[int] = set()
        self._ours: set[int] = set()

    def unjudged(self, query_hashes: Iterable[int], previous: CounterReading | None) -> list[int]:
        """Those whose text has to be looked at, in order."""
        known = set(previous.query_hash.tolist()) if previous is not None else set()
        with self._guard:
            return sorted({*query_hashes} - known - self._judged - {0})

    def learn(self, judged: Collection[int], ours: Collection[int]) -> None:
        """Remember the outcome of a look."""
        with self._guard:
            self._judged.update(judged)
            self._ours.update(ours)

    @property
    def ours(self) -> frozenset[int]:
        """Hashes of our own statements known so far."""
        with self._guard:
            return frozenset(self._ours)


def look_in_query_store(session: Session, own: OwnStatements, plan_of: Mapping[int, int]) -> None:
    """Look at the texts of some statements in Query Store.

    Args:
        session: open on the database.
        own: learns the outcome.
        plan_of: query hash to the number of any plan of it; the server finds a plan by an index, and a hash by none.

    Raises:
        ProviderError: the server did not answer.
    """
    hash_of = {plan_id: query_hash for query_hash, plan_id in plan_of.items()}
    for plan_ids in value_lists(list(hash_of)):
        found = session.rows(statement_in("own_queries", len(plan_ids)), plan_ids)
        ours = {hash_of[plan_id] for plan_id, mark_position in found if mark_position}
        own.learn({hash_of[plan_id] for plan_id in plan_ids}, ours)
