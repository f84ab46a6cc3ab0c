"""Read once more, at once, what failed for a reason that passes within a second: a cut connection, a lost deadlock."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.errors import ProviderError

PAUSES_SECONDS = (0.25, 1.0)
"""Before the first and the second further attempt, each times 0.5 to 1.5, so that databases do not come at once."""

LEAST_SECONDS = 1.0
"""An attempt with less time than this would only end in a timeout."""

_STEP_SECONDS = 0.05
_T = TypeVar("_T")


class QuickRetries:
    """The further attempts of one collection.

    Whether an error is worth one is said by the provider that translated it (`ProviderError.passes_soon`): never a
    wrong password, a missing right or a server that is not there. An instance that failed all attempts once gets no
    further ones in this collection, or a dead server would hold every worker three times as long.

    Args:
        dice: from 0 to 1.
        sleep: for seconds.
    """

    def __init__(self, dice: Callable[[], float] = random.random, sleep: Callable[[float], None] = time.sleep) -> None:
        self._dice = dice
        self._sleep = sleep
        self._given_up: set[str] = set()

    def attempt(
        self, instance: str, work: Callable[[], _T], left: Callable[[], float]
    ) -> tuple[_T, ProviderError | None]:
        """Do the work, again where that may help.

        Args:
            instance: whose server is asked.
            work: leaves nothing behind when it fails.
            left: seconds there are; 0 when somebody asked to stop.

        Returns:
            What the work gave, and the error of the attempt before; None where the first one went well.

        Raises:
            ProviderError: of the last attempt.
        """
        before: ProviderError | None = None
        for pause in PAUSES_SECONDS:
            try:
                return work(), before
            except ProviderError as error:
                if not error.passes_soon or instance in self._given_up:
                    raise
                if not self._waited(pause * (0.5 + self._dice()), left):
                    raise
                before = error
        try:
            return work(), before
        except ProviderError:
            self._given_up.add(instance)
            raise

    def _waited(self, seconds: float, left: Callable[[], float]) -> bool:
        """Wait; false, and at once, where too little time would be left or somebody asked to stop."""
        while seconds > 0:
            if left() < seconds + LEAST_SECONDS:
                return False
            step = min(seconds, _STEP_SECONDS)
            self._sleep(step)
            seconds -= step
        return left() >= LEAST_SECONDS


def told_again(collected: CollectedDatabase, before: ProviderError | None) -> CollectedDatabase:
    """A reading that needed more than one attempt says why."""
    if before is None:
        return collected
    said = collected.outcome.message
    message = f"{said}; " * bool(said) + f"read at a further attempt: {before.message}"
    return replace(collected, outcome=replace(collected.outcome, message=message))
