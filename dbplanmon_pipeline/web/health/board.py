"""Runs the checks: each within its time, all at once, and once for everybody who asks within a few seconds."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.health import Finding, Health
from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.web.health.checks import Check, Tag
from dbplanmon_pipeline.web.held import Held

CHECK_SECONDS = 5.0
ALL_SECONDS = 30.0

Observe = Callable[[str, float], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """One line of the answer.

    Attributes:
        duration_ms: how long the check took.
        age_seconds: how long ago that was.
    """

    name: str
    tags: tuple[Tag, ...]
    finding: Finding
    duration_ms: float
    age_seconds: float


class Board:
    """All checks and their newest answers.

    Args:
        checks: what is asked.
        observe: gets the name of a check and the seconds it took.
        check_seconds: the time of one check.
    """

    def __init__(self, checks: Sequence[Check], observe: Observe, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._seconds = check_seconds
        self._held = [(check, Held(f"health {check.names[0]}", _asker(check, observe))) for check in checks]

    def begin(self) -> None:
        """Ask everything once, so that the first probe need not wait."""
        for _, held in self._held:
            held.ask()

    def end(self, wait_seconds: float) -> None:
        """Wait a moment for checks under way, before the store is closed."""
        until = time.monotonic() + wait_seconds
        for _, held in self._held:
            held.settle(max(until - time.monotonic(), 0.0))

    async def judge(self, *tags: Tag) -> list[Judged]:
        """Every check, or those with one of these tags."""
        wanted = [(check, held) for check, held in self._held if not tags or set(tags) & set(check.tags)]
        seconds = min(self._seconds, ALL_SECONDS)
        await asyncio.gather(*(held.get(seconds) for _, held in wanted))
        return [line for check, held in wanted for line in self._lines(check, held)]

    def _lines(self, check: Check, held: Held[Mapping[str, Finding]]) -> list[Judged]:
        answer, running = held.answer, held.running_seconds
        if answer is None or running >= self._seconds:
            late = Finding(Health.UNHEALTHY, f"no answer within {self._seconds:g} s")
            return [Judged(name, check.tags, late, running * 1000, 0.0) for name in check.names]
        took, age = answer.seconds * 1000, answer.age_seconds()
        return [Judged(name, check.tags, answer.value[name], took, age) for name in check.names]


def worst(states: Sequence[Health]) -> Health:
    """The worst of them; healthy where there is none."""
    order = list(Health)
    return max(states, key=order.index, default=Health.HEALTHY)


def _asker(check: Check, observe: Observe) -> Callable[[], Mapping[str, Finding]]:
    def ask() -> Mapping[str, Finding]:
        began = time.monotonic()
        try:
            return check.ask()
        except DbPlanMonError as error:
            return dict.fromkeys(check.names, Finding(Health.UNHEALTHY, " ".join(str(error).split())))
        except Exception as error:  # noqa: BLE001 - a check must answer whatever happens
            _log.exception("check %s failed", check.names[0], extra={"event": "health_check_failed"})
            return dict.fromkeys(check.names, Finding(Health.UNHEALTHY, f"failed with {type(error).__name__}"))
        finally:
            observe(check.names[0], time.monotonic() - began)

    return ask
