"""How many connections one provider may have at once."""

import threading

from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.errors import ProviderError, QueryTimedOut

_LOOK_SECONDS = 0.1


class ConnectionGate:
    """Lets at most `limit` connections of one provider exist; abandoned ones count until they are closed.

    Args:
        limit: connections at once, at least 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a limit of {limit} connections lets nobody in")
        self.limit = limit
        self._free = limit
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        """Connections there are now."""
        return self.limit - self._free

    def enter(self, budget: Budget, target: str) -> None:
        """Take one place, waiting for it within the budget.

        Raises:
            QueryTimedOut: none became free in time, or the run was cancelled.
        """
        with self._changed:
            while self._free == 0:
                left = budget.remaining()
                if left <= 0:
                    raise self._none_free(budget, target)
                self._changed.wait(min(left, _LOOK_SECONDS))
            self._free -= 1

    def leave(self) -> None:
        """Give the place back."""
        with self._changed:
            self._free += 1
            self._changed.notify()

    def _none_free(self, budget: Budget, target: str) -> ProviderError:
        if budget.cancelled():
            return QueryTimedOut("connecting stopped: the run was cancelled", target=target)
        return QueryTimedOut(
            f"none of {self.limit} connections became free in time",
            target=target,
            remedy="Raise collection.budget_per_database, or look why this server answers slowly.",
        )
