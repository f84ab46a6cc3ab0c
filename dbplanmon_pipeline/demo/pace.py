"""How long the parts of the demo's story are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Lengths in collection ticks.

    Attributes:
        learn: readings before a baseline is learnt.
        calm: readings in which nothing is wrong, before and after the silent change.
        after: readings beyond those in which an incident is owed, before the fault is mended.
        patience: further readings in which an incident that is late may still come; then it counts as missed.
        settle: readings after a fault was mended, before the next thing breaks.
    """

    learn: int = 40
    calm: int = 3
    after: int = 1
    patience: int = 4
    settle: int = 4
