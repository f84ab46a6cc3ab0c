"""Time budgets that run out when a test says so, not when the machine is slow."""

import time

from dbplanmon_pipeline.core.ports import Budget


class Hourglass:
    """A budget of plenty of time, until the test says how much of it is left."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + 60.0
        self._gone = 0.0

    @property
    def budget(self) -> Budget:
        return Budget(self._deadline, lambda: time.monotonic() + self._gone)

    def leave(self, seconds: float) -> None:
        """From now on, so many seconds are left."""
        self._gone = self._deadline - seconds - time.monotonic()
