"""How often a child that dies is started again."""

from collections import defaultdict

FIRST_WAIT_SECONDS = 1.0


class RestartPolicy:
    """At most `limit` restarts of each child within `within_seconds`, each after a wait twice as long.

    Args:
        limit: restarts.
        within_seconds: stretch they are counted in.
    """

    def __init__(self, limit: int = 3, within_seconds: float = 300.0) -> None:
        self.limit = limit
        self.within_seconds = within_seconds
        self._restarts: dict[str, list[float]] = defaultdict(list)

    def wait_before_restart(self, name: str, now: float) -> float | None:
        """Count a death at `now` [monotonic seconds]; seconds to wait, or None when it dies too often."""
        recent = [at for at in self._restarts[name] if now - at < self.within_seconds]
        self._restarts[name] = [*recent, now]
        return FIRST_WAIT_SECONDS * 2 ** len(recent) if len(recent) < self.limit else None
