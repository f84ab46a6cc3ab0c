"""How one of our own statements fared when it was tried on a target."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatementTrial:
    """One statement, run once.

    Attributes:
        name / purpose: as its file says.
        ok: it ran.
        rows: rows it returned.
        duration_ms: wall time.
        message / remedy: why it failed and what helps; empty where it ran.
        skipped_reason: why it was not run at all; empty where it was.
    """

    name: str
    purpose: str
    ok: bool
    rows: int = 0
    duration_ms: float = 0.0
    message: str = ""
    remedy: str = ""
    skipped_reason: str = ""
