"""Rises that began with a restart or a failover are held back while they may be nothing but cold caches.

Only some statements feel those, so it does not show in what an instance has in common. Held back, not lost: a rise that
does not fade is told after a while, and one that stands when the time is over as well.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import fmean, median

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.restarts import Restart, Restarts
from dbplanmon_pipeline.core.verdict.model import Evaluation, Verdict

HELD_BACK = "Held back since the "
"""How the sentence begins that an incident keeps as long as it is open."""

_HALF = 6
"""At most so many intervals are set against as many before them."""

_FADING = 0.75
"""A rise fades where the extra cost per execution fell to this share."""

_JUMP = 0.5
"""Bad intervals right before a restart that cost less than this share of those after it are not what began there."""


@dataclass(frozen=True, slots=True)
class WarmUpPolicy:
    """How long a cache may need.

    Attributes:
        begins_within: steps after a restart in which a rise begins that is put down to it.
        least: intervals with executions that a rise is held back in any case; nobody can say before whether it fades.
        soonest: the same as a time, for fast cadences: a cache is filled as fast as the disk is.
        most: steps after the restart up to which it is held back while it fades.
        longest: the same as a time, for slow cadences.
    """

    begins_within: int = 12
    least: int = 6
    soonest: timedelta = timedelta(minutes=10)
    most: int = 36
    longest: timedelta = timedelta(hours=3)

    def ends_after(self, step: timedelta) -> timedelta:
        """Time after the restart in which anything is held back."""
        return max(min(self.most * step, self.longest), self.soonest)


@dataclass(frozen=True, slots=True)
class _Cold:
    """A restart, and the extra cost per execution of the intervals of a rise that ended since."""

    restart: Restart
    extra: Sequence[float]


@dataclass(frozen=True, slots=True)
class Held:
    """A finding that waits, and for what."""

    verdict: Verdict
    restart: Restart


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Holds findings back.

    Attributes:
        restarts: that are known, of at least the lookback.
        step: cadence of the collection.
        policy: how long.
    """

    restarts: Restarts
    step: timedelta
    policy: WarmUpPolicy

    def sift(
        self, evaluation: Evaluation, open_keys: Collection[tuple[str, str, int]]
    ) -> tuple[Evaluation, tuple[Held, ...]]:
        """Take out of an evaluation what is to be held back for now.

        Args:
            evaluation: of one moment.
            open_keys: of open incidents, which go on whatever happens to the server.

        Returns:
            What is left, with the evidence of what was held back until now, and what is held back.
        """
        if not self.restarts.known:
            return evaluation, ()
        told, held = [], []
        for verdict in evaluation.verdicts:
            key = (verdict.ref.instance, verdict.ref.database, verdict.query_hash)
            cold = None if key in open_keys else self._cold(verdict, evaluation.as_of)
            if cold is None:
                told.append(verdict)
            elif self._waits(verdict, cold, evaluation.as_of):
                held.append(Held(verdict, cold.restart))
            else:
                told.append(replace(verdict, evidence=(*verdict.evidence, _sentence(cold))))
        return replace(evaluation, verdicts=tuple(told)), tuple(held)

    def _cold(self, verdict: Verdict, as_of: datetime) -> _Cold | None:
        """The newest restart that a rise may be put down to: nothing else is known that explains it.

        A restart empties the plan cache as well; a statement that got another plan and is slower is told at once.
        """
        if verdict.course is None or verdict.failures or verdict.previous_plan_hash not in (0, verdict.plan_hash):
            return None
        for restart in reversed(self._known(verdict, as_of)):
            earliest = epoch_us(restart.earliest(self.step))
            before = sum(end <= earliest for end in verdict.course.ends_us)
            cold = _Cold(restart, verdict.course.extra[before:])
            if cold.extra and self._began_with(cold, verdict.course.extra[:before], verdict.course.ends_us[before]):
                return cold
        return None

    def _began_with(self, cold: _Cold, before: Sequence[float], first_end_us: int) -> bool:
        if from_epoch_us(first_end_us) - cold.restart.at > self.policy.begins_within * self.step:
            return False
        # A server that goes down writes everything back first, which single intervals feel.
        return not before or (len(before) <= _HALF and fmean(before) < _JUMP * fmean(cold.extra[:_HALF]))

    def _waits(self, verdict: Verdict, cold: _Cold, as_of: datetime) -> bool:
        age = as_of - cold.restart.at
        if age > self.policy.ends_after(self.step):
            return False
        latest = self._known(verdict, as_of)[-1]
        cold_again = latest is not cold.restart and as_of - latest.at < self.policy.least * self.step
        is_young = len(cold.extra) < self.policy.least or age < self.policy.soonest
        return is_young or cold_again or _fades(cold.extra)

    def _known(self, verdict: Verdict, as_of: datetime) -> list[Restart]:
        return self.restarts.of_database(verdict.ref, as_of, self.step)


def _fades(extra: Sequence[float]) -> bool:
    half = min(len(extra) // 2, _HALF)
    # Single intervals may be explained by what others were held up as well, and then cost next to nothing.
    return half > 0 and median(extra[-half:]) < _FADING * median(extra[-2 * half : -half])


def _sentence(cold: _Cold) -> str:
    restart = cold.restart
    return (
        f"{HELD_BACK}{restart.word} at {restart.at:%Y-%m-%d %H:%M:%S} UTC, as caches are cold then; "
        f"it still stands after {len(cold.extra)} intervals."
    )
