"""What the story of the demo needs from the thing that gets slower."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.demo.faults import Fault
from dbplanmon_pipeline.demo.result import SilentResult

Progress = Callable[[str], None]


class DemoSource(Protocol):
    """A server with a workload on it that can be broken and mended."""

    engine: str
    tick_seconds: int

    @property
    def server(self) -> str:
        """What runs there, for the title."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """What will be broken, in this order."""
        ...

    def prepare(self) -> Iterator[str]:
        """Make everything ready; yields what is being done."""
        ...

    def monitor(self) -> Monitor:
        """The monitor that watches it."""
        ...

    def start(self) -> None:
        """Start the workload."""
        ...

    def next_tick(self) -> None:
        """Come back when the next collection is due."""
        ...

    def names(self) -> dict[int, str]:
        """Name of each statement by its query hash."""
        ...

    def break_it(self, fault: Fault) -> None:
        """Let the fault happen."""
        ...

    def mend_it(self, fault: Fault) -> None:
        """Take it back."""
        ...

    def change_silently(self) -> str:
        """Let the change happen that must not wake anybody; returns what it is."""
        ...

    def silent_result(self, opened: frozenset[str]) -> SilentResult:
        """What the silent change truly was; `opened` are the names of statements with an incident."""
        ...

    def close(self) -> None:
        """End everything that was started."""
        ...
