"""What the demo found, as people and programs read it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FaultResult:
    """One thing that was broken, and whether it was noticed.

    Attributes:
        detected: it was told of in time; an incident that came late is still described.
        ticks_to_detect: collection ticks from the fault to its first incident, None where there was none.
        plan_diff: what changed in the plan of the statement, in words.
    """

    name: str
    kind: str
    injected_at: str
    detected: bool
    ticks_to_detect: int | None
    statement: str = ""
    incident_id: str = ""
    label: str = ""
    severity: str = ""
    effect_ratio: float | None = None
    extra_seconds_per_hour: float | None = None
    plan_diff: tuple[str, ...] = ()
    way_back: str = ""


@dataclass(frozen=True, slots=True)
class SilentResult:
    """A change that must not wake anybody, with what it truly was [ms per execution]."""

    name: str
    before_ms: float
    after_ms: float
    stayed_silent: bool


@dataclass(frozen=True, slots=True)
class FalseIncident:
    """An incident on a statement that nobody broke."""

    statement: str
    incident_id: str
    label: str
    effect_ratio: float
    extra_seconds_per_hour: float
    opened_at: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The contract of `dbplanmon demo --json`; `alerts` are the messages as sent, subject and body."""

    engine: str
    elapsed_seconds: float
    faults: tuple[FaultResult, ...]
    silent: tuple[SilentResult, ...]
    false_incidents: tuple[FalseIncident, ...]
    alerts: tuple[dict[str, str], ...]
    server: str = ""
    ticks: int = 0
    seconds_per_tick: float = 0.0
    events_per_run: dict[str, int] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Every fault found in time, and nothing else opened."""
        return (
            all(fault.detected for fault in self.faults)
            and all(silent.stayed_silent for silent in self.silent)
            and not self.false_incidents
        )

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def found(faults: Sequence[FaultResult]) -> str:
    """`2 of 3 found`."""
    return f"{sum(fault.detected for fault in faults)} of {len(faults)} found"
