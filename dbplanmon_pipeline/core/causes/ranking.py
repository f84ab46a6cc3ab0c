"""Rank what may have caused an incident: how plausible each change is, and the sentences that say why.

A guess with reasons, not a proof: docs/causes.md has the weights. The plausibility of a change is

    1 - (1 - kind * near * reach) * (1 - effect * (1 + near) / 2) * ...

where `kind` is how often such a change makes statements slower, `near` falls with its distance to the beginning of the
incident, `reach` says whether it can touch what is slow, and each `effect` is what the two plans show of it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from dbplanmon_pipeline.core.causes.candidates import Candidate, CauseKind
from dbplanmon_pipeline.core.causes.effects import Effect, PlanView, effects
from dbplanmon_pipeline.core.causes.table_facts import number_of
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.plain_words import duration_words
from dbplanmon_pipeline.core.plans.comparing.context import DISABLED

CAUSES_WITHIN = timedelta(hours=24)
"""Changes longer before the beginning of an incident are not looked at."""

HALF_AFTER = timedelta(hours=4)
"""A change so long before the beginning counts half of one right before it."""

UNDATED = 0.5
"""`near` of a change that only shows between the capture of two plans."""

GRACE = timedelta(minutes=15)
"""A change seen so long after the beginning may still lie before it: changes are seen when the next reading is."""

AFTER_GRACE = 0.3
"""`near` of one seen later, but before the incident was opened; and of one seen in time, but after it was opened."""

MOST_CAUSES = 12
TELLING = 0.5
"""From here on a message names the most plausible cause."""

WORDS = ((0.7, "likely"), (0.4, "plausible"), (0.15, "possible"), (0.0, "unlikely"))

KIND_WEIGHTS = {
    CauseKind.FORCING: 0.7,
    CauseKind.COMPATIBILITY: 0.6,
    CauseKind.VERSION: 0.5,
    CauseKind.RESTORE: 0.5,
    CauseKind.INDEX: 0.5,
    CauseKind.SETTING: 0.4,
    CauseKind.FAILOVER: 0.4,
    CauseKind.VOLUME: 0.4,
    CauseKind.DISTRIBUTION: 0.4,
    CauseKind.STATISTICS: 0.35,
    CauseKind.DEPLOYMENT: 0.35,
    CauseKind.RESTART: 0.3,
    CauseKind.TABLE: 0.3,
    CauseKind.PLAN: 0.25,
    CauseKind.OTHER: 0.15,
}
UNUSED_INDEX, UNUSED_COLUMN, SAME_PLAN, SHRANK = 0.3, 0.3, 0.4, 0.3
TABLE_OF_INSTANCE, DATABASE_OF_INSTANCE = 0.15, 0.4

_THROUGH_PLAN = frozenset({CauseKind.INDEX, CauseKind.STATISTICS, CauseKind.COMPATIBILITY, CauseKind.FORCING})
_CEILING = 0.99
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class RankedCause:
    """One change that may have caused an incident.

    Attributes:
        candidate: the change.
        plausibility: 0 to 1, two decimals; for ordering, no probability.
        word: `likely`, `plausible`, `possible` or `unlikely`.
        evidence: sentences, without a stop.
    """

    candidate: Candidate
    plausibility: float
    word: str
    evidence: tuple[str, ...]

    @property
    def line(self) -> str:
        """`likely: index ix of dbo.Orders is gone (12 min before; the former plan went through it)`."""
        return f"{self.word}: {self.candidate.what} ({'; '.join(self.evidence)})"


@dataclass(frozen=True, slots=True)
class _Weight:
    """A factor with what is said of it; nothing is said of what is as usual."""

    factor: float
    words: str = ""


def rank_causes(incident: Incident, candidates: Iterable[Candidate], view: PlanView) -> tuple[RankedCause, ...]:
    """The most plausible first, at most MOST_CAUSES; what came too early or too late is left out.

    Args:
        incident: what is slow.
        candidates: every change that is known.
        view: plans of the statement; the empty one for a whole instance.
    """
    ranked = [found for one in candidates if (found := _ranked(incident, one, view))]
    ranked.sort(key=lambda found: (-found.plausibility, _distance(incident, found.candidate)))
    return tuple(_alike_as_one(_without_retold(ranked)))[:MOST_CAUSES]


def _without_retold(ranked: Iterable[RankedCause]) -> Iterator[RankedCause]:
    """That statistics were updated says nothing more once it is told what they found."""
    found = set()
    for one in ranked:
        event = (one.candidate.table, one.candidate.at)
        if one.candidate.kind is CauseKind.DISTRIBUTION:
            found.add(event)
        if one.candidate.kind is not CauseKind.STATISTICS or event not in found:
            yield one


def _alike_as_one(ranked: Iterable[RankedCause]) -> Iterator[RankedCause]:
    """The same of several tables whose names differ in a number, as partitions do, told once at the first of them."""
    alike: dict[tuple[str, ...], list[RankedCause]] = {}
    for place, one in enumerate(ranked):
        words = (one.candidate.kind, one.candidate.what, *one.evidence) if one.candidate.table else (str(place),)
        alike.setdefault(tuple(_DIGITS.sub("#", word) for word in words), []).append(one)
    for first, *others in alike.values():
        tables = {one.candidate.table for one in others} - {first.candidate.table}
        what = f"{first.candidate.what}, and the same of {len(tables)} more like it"
        if tables:
            yield replace(first, candidate=replace(first.candidate, what=what))
        else:
            yield from (first, *others)


def telling_cause(ranked: Sequence[RankedCause]) -> RankedCause | None:
    """The first, where it is plausible enough to be named in a message and says more than that the plan changed."""
    named = [one for one in ranked if one.candidate.kind is not CauseKind.PLAN]
    return named[0] if named and named[0].plausibility >= TELLING else None


def word_of(plausibility: float) -> str:
    """The word of WORDS for a plausibility."""
    return next(word for least, word in WORDS if plausibility >= least)


def _ranked(incident: Incident, candidate: Candidate, view: PlanView) -> RankedCause | None:
    near = _near(incident, candidate)
    if near is None:
        return None
    reach = _reach(incident, candidate, view)
    seen = effects(candidate, incident, view)
    plausibility = round(min(_CEILING, _together(candidate, near.factor, reach, seen)), 2)
    evidence = [near.words, *(weight.words for weight in reach), *(effect.words for effect in seen)]
    return RankedCause(candidate, plausibility, word_of(plausibility), tuple(filter(None, evidence)))


def _together(candidate: Candidate, near: float, reach: Sequence[_Weight], seen: Sequence[Effect]) -> float:
    product = KIND_WEIGHTS[candidate.kind] * near
    for weight in reach:
        product *= weight.factor
    doubt = 1.0 - product
    for effect in seen:
        doubt *= 1.0 - effect.strength * (1.0 + near) / 2.0
    return 1.0 - doubt


def _near(incident: Incident, candidate: Candidate) -> _Weight | None:
    """How close to the beginning; None where it cannot be the cause."""
    if candidate.kind is CauseKind.PLAN:
        return _Weight(1.0, "in the first bad interval")
    if candidate.at is None:
        return _Weight(UNDATED, "between the capture of the former plan and that of the present one")
    before = incident.began_at - candidate.at
    words = duration_words(abs(before.total_seconds()))
    if timedelta(0) <= before <= CAUSES_WITHIN:
        said = f"{words} before the first bad interval began" if before else "as the first bad interval began"
        return _Weight(1.0 / (1.0 + before / HALF_AFTER), said)
    if before > timedelta(0):
        return None
    seen = "" if candidate.is_dated else "seen "
    is_after_opening = candidate.at > incident.opened_at
    if -before <= GRACE:
        factor = AFTER_GRACE if is_after_opening else 1.0
        return _Weight(factor, f"{seen}{words} after the first bad interval began")
    return None if is_after_opening else _Weight(AFTER_GRACE, f"{seen}only {words} after the incident began")


def _reach(incident: Incident, candidate: Candidate, view: PlanView) -> list[_Weight]:
    """Factors for whether it can touch what is slow."""
    if incident.scope is not IncidentScope.QUERY:
        return [_reach_of_all(incident, candidate)]
    found = []
    if candidate.table:
        found.append(_Weight(1.0, f"the plan reads {candidate.table}"))
    if candidate.kind is CauseKind.INDEX and view.is_known:
        found += _unused_index(candidate, view)
    if candidate.kind is CauseKind.DISTRIBUTION and view.is_known:
        found.append(_compared_column(candidate, view))
    if candidate.kind in _THROUGH_PLAN and view.is_same:
        found.append(_Weight(SAME_PLAN, "but the plan is the same as before"))
    if candidate.kind is CauseKind.VOLUME and number_of(candidate.after) < number_of(candidate.before):
        found.append(_Weight(SHRANK, "but fewer rows seldom slow a statement down"))
    return found


def _reach_of_all(incident: Incident, candidate: Candidate) -> _Weight:
    if candidate.covers_instance:
        return _Weight(1.0, "it concerns the whole instance")
    if candidate.table:
        return _Weight(TABLE_OF_INSTANCE, "but it concerns a single table")
    if incident.scope is IncidentScope.DATABASE:
        return _Weight(1.0, "it concerns this database")
    if candidate.databases > 1:
        return _Weight(1.0, f"seen in {candidate.databases} databases of the instance")
    return _Weight(DATABASE_OF_INSTANCE, "but seen in one database only")


def _compared_column(candidate: Candidate, view: PlanView) -> _Weight:
    if view.compares(candidate.about):
        return _Weight(1.0, f"it goes by {candidate.about}")
    return _Weight(UNUSED_COLUMN, f"but does not go by {candidate.about}")


def _unused_index(candidate: Candidate, view: PlanView) -> list[_Weight]:
    lost = not candidate.after or candidate.after.startswith(DISABLED)
    if lost and candidate.about not in view.used_before:
        return [_Weight(UNUSED_INDEX, "but the former plan did not use it")]
    if not lost and candidate.about not in view.used_now:
        return [_Weight(UNUSED_INDEX, "but the present plan does not use it")]
    return []


def _distance(incident: Incident, candidate: Candidate) -> timedelta:
    return abs(incident.began_at - candidate.at) if candidate.at else CAUSES_WITHIN
