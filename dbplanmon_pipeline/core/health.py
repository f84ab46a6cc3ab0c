"""Facts about the monitor's own health, judged from its collection log; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.plain_words import counted, duration_words
from dbplanmon_pipeline.core.ports.figures import DatabaseState

Row = Mapping[str, str | float | None]
"""One line of a table that shows a finding."""

Outcome = CollectionOutcome | DatabaseState
"""How one reading of one database ended."""

NEGLIGIBLE_MS = 250.0


class Health(StrEnum):
    """Healthy, worth a look, or broken."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement: what it says, and the rows (of equal keys) that show it."""

    health: Health
    summary: str
    rows: tuple[Row, ...] = ()


def reachability(outcomes: Sequence[CollectionOutcome], unhealthy_share: float = 0.5) -> Finding:
    """Healthy when every target answered; unhealthy from `unhealthy_share` of silent ones on."""
    silent = [o for o in outcomes if o.status is CollectionStatus.FAILED or o.error_class == "breaker"]
    rows = tuple(
        {"database": str(o.ref), "state": o.status.value, "why": o.error_class, "message": o.message} for o in silent
    )
    if not outcomes:
        return Finding(Health.HEALTHY, "no targets configured")
    if not silent:
        return Finding(Health.HEALTHY, f"all {len(outcomes)} targets answered")
    health = Health.UNHEALTHY if len(silent) / len(outcomes) >= unhealthy_share else Health.DEGRADED
    names = ", ".join(str(o.ref) for o in silent[:3]) + (" ..." if len(silent) > 3 else "")
    return Finding(health, f"{len(silent)} of {len(outcomes)} targets did not answer: {names}", rows)


def freshness(
    last_success: Mapping[DatabaseRef, datetime | None],
    now: datetime,
    interval: timedelta,
    tolerated: int = 3,
    unhealthy_share: float = 1.0,
) -> Finding:
    """Healthy when each database was read within `tolerated` intervals; unhealthy from a share of stale ones on."""
    limit = interval * tolerated
    stale = {ref: at for ref, at in last_success.items() if at is None or now - at > limit}
    rows: tuple[Row, ...] = tuple(
        {
            "database": str(ref),
            "last_read": f"{at:%Y-%m-%d %H:%M:%S}" if at else "never",
            "age_minutes": round((now - at).total_seconds() / 60, 1) if at else None,
        }
        for ref, at in sorted(stale.items())
    )
    within = duration_words(limit.total_seconds())
    if not stale:
        return Finding(Health.HEALTHY, f"{counted(len(last_success), 'database')} read within {within}")
    health = Health.UNHEALTHY if len(stale) >= unhealthy_share * len(last_success) else Health.DEGRADED
    return Finding(health, f"{len(stale)} of {len(last_success)} databases not read within {within}", rows)


def coverage(outcomes: Sequence[Outcome], named_share: Mapping[DatabaseRef, float], least: float) -> Finding:
    """Healthy when at least `least` (0..1) of the recorded time of each database belongs to named statements."""
    poor = {ref: share for ref, share in named_share.items() if share < least}
    rows: tuple[Row, ...] = tuple(
        {"database": str(ref), "named_share": round(share, 3)} for ref, share in sorted(poor.items())
    )
    read = sum(o.status in (CollectionStatus.OK, CollectionStatus.FIRST_READING) for o in outcomes)
    if not poor:
        return Finding(
            Health.HEALTHY, f"{counted(read, 'database')} read; named statements hold at least {least:.0%} of the time"
        )
    return Finding(Health.DEGRADED, f"{len(poor)} databases hide over {1 - least:.0%} of their time", rows)


def collector_cost(outcomes: Sequence[Outcome], interval: timedelta, largest_share: float) -> Finding:
    """Healthy when no target spent more than `largest_share` (0..1) of one core on our statements.

    Up to NEGLIGIBLE_MS is always allowed: with a cadence of seconds even a cheap reading is a large share.
    """
    allowed_ms = max(NEGLIGIBLE_MS, interval.total_seconds() * 1000 * largest_share)
    dear = [o for o in outcomes if (o.cost_ms or 0.0) > allowed_ms]
    rows: tuple[Row, ...] = tuple(
        {"database": str(o.ref), "cost_ms": round(o.cost_ms or 0.0, 1), "allowed_ms": round(allowed_ms, 1)}
        for o in sorted(dear, key=lambda o: -(o.cost_ms or 0.0))
    )
    total = sum(o.cost_ms or 0.0 for o in outcomes)
    if not dear:
        return Finding(Health.HEALTHY, f"{total:.0f} ms over all targets; none above {allowed_ms:.0f} ms")
    return Finding(Health.DEGRADED, f"{len(dear)} targets spent more than {allowed_ms:.0f} ms on our reading", rows)


def baseline_age(newest: datetime | None, judged: int, now: datetime, limit: timedelta) -> Finding:
    """Healthy when the newest baseline is younger than `limit`."""
    if newest is None:
        return Finding(Health.DEGRADED, "no baseline yet: materialise `baselines`, or wait for its schedule")
    age = now - newest
    old = duration_words(age.total_seconds())
    if age > limit:
        most = duration_words(limit.total_seconds())
        return Finding(Health.DEGRADED, f"the newest baseline is {old} old, more than {most}")
    return Finding(Health.HEALTHY, f"baselines of {counted(judged, 'statement')}, {old} old")
