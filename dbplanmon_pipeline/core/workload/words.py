"""Growth of the work of a statement or an instance in words, and as JSON."""

import math
from collections.abc import Callable, Sequence

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import cost_words, moment_words, seconds_words
from dbplanmon_pipeline.core.records import Record
from dbplanmon_pipeline.core.workload.changes import BusierInstance, GrowthKind, WorkloadChange

_TELLING_SHARE = 0.25
"""Of the extra time, from which the lesser of two causes is named as well."""

_STEADY_UP_TO = 1.15
_NAMED = 3

Name = Callable[[WorkloadChange], str]


def growth_words(change: WorkloadChange) -> str:
    """Why it costs more, for a cell of a table: `9.0 times as often`."""
    if change.kind is GrowthKind.NEW_STATEMENT:
        return f"new since {moment_words(change.first_seen)}" if change.first_seen else "new"
    often, dearer = _often(change), _dearer(change)
    extra = change.extra_seconds_per_hour
    if change.kind is GrowthKind.MORE_EXECUTIONS:
        return f"{often}, {dearer}" if dearer and change.extra_by_cost >= _TELLING_SHARE * extra else often
    also = often if change.extra_by_executions >= _TELLING_SHARE * extra else ""
    told = f"incident {change.incident_id}" if change.incident_id else "no incident"
    return f"slower: {', '.join(filter(None, (dearer, also, told)))}"


def growth_sentence(change: WorkloadChange) -> str:
    """The same with all figures, for a page."""
    normally = f"normally {seconds_words(change.normal_seconds_per_hour)} at this time on {_days(change.days)}"
    if change.kind is GrowthKind.NEW_STATEMENT:
        return (
            f"It was not there before: first seen {_moment(change)}, it costs {seconds_words(change.seconds_per_hour)} "
            "per hour."
        )
    count, before = _count(change.executions_per_hour), _count(change.normal_executions_per_hour)
    runs = f"{count} executions per hour, {before} normally"
    cost = f"costs {seconds_words(change.seconds_per_hour)} per hour, {normally}: {runs}"
    if change.kind is GrowthKind.MORE_EXECUTIONS:
        return f"Busier, not slower: it {cost}; {_each(change)}."
    told = f"incident {change.incident_id} tells more" if change.incident_id else "no incident tells of it"
    return f"Slower: it {cost}; {_each(change)}; {told}."


def busier_words(busier: BusierInstance, name: Name | None = None) -> str:
    """One line: `sql1 is 40 % busier than normally at this time (4,200 s per hour instead of 3,000 s): ...`."""
    more = busier_share(busier)
    now, before = seconds_words(busier.seconds_per_hour), seconds_words(busier.normal_seconds_per_hour)
    than = f"than at this time on {_days(busier.days)} ({now} per hour instead of {before})"
    head = f"{busier.instance} is {more} busier {than}"
    grown = [change for change in busier.changes if change.is_growth]
    return f"{head}: {changes_words(grown, name)}" if grown else head


def busier_share(busier: BusierInstance) -> str:
    """How much more work it does: `40 %`."""
    return f"{100 * busier.extra_seconds_per_hour / busier.normal_seconds_per_hour:,.0f} %"


def changes_words(changes: Sequence[WorkloadChange], name: Name | None = None) -> str:
    """The dearest of some statements that grew: `+1,100 s per hour by 00ab on sql1/shop, 9.0 times as often`."""
    named = [
        f"+{seconds_words(one.extra_seconds_per_hour)} per hour by {(name or _name)(one)}, {growth_words(one)}"
        for one in changes[:_NAMED]
    ]
    rest = changes[_NAMED:]
    if rest:
        more = seconds_words(sum(one.extra_seconds_per_hour for one in rest))
        named.append(f"+{more} per hour by {len(rest)} more")
    return "; ".join(named)


def growth_record(change: WorkloadChange | None) -> Record | None:
    """For JSON; None stays None. NaN is null there."""
    if change is None:
        return None
    return {
        "kind": change.kind,
        "words": growth_words(change),
        "seconds_per_hour": change.seconds_per_hour,
        "normal_seconds_per_hour": change.normal_seconds_per_hour,
        "extra_seconds_per_hour": change.extra_seconds_per_hour,
        "extra_by_executions": change.extra_by_executions,
        "extra_by_cost": change.extra_by_cost,
        "executions_per_hour": change.executions_per_hour,
        "normal_executions_per_hour": change.normal_executions_per_hour,
        "times_executions": change.times_executions,
        "times_cost": change.times_cost,
        "earlier_days": change.days,
        "first_seen": change.first_seen,
        "incident_id": change.incident_id or None,
    }


def statement_growth_record(change: WorkloadChange) -> Record:
    """The same with the name of the statement."""
    return {"database": str(change.ref), "query_hash": hash_text(change.query_hash), **(growth_record(change) or {})}


def busier_record(busier: BusierInstance) -> Record:
    """For JSON, with what of its statements grew."""
    return {
        "instance": busier.instance,
        "words": busier_words(busier),
        "seconds_per_hour": busier.seconds_per_hour,
        "normal_seconds_per_hour": busier.normal_seconds_per_hour,
        "extra_seconds_per_hour": busier.extra_seconds_per_hour,
        "earlier_days": busier.days,
        "statements": [statement_growth_record(one) for one in busier.changes],
    }


def _often(change: WorkloadChange) -> str:
    if math.isnan(change.times_executions):
        return "did not run at this time before"
    return f"{_times(change.times_executions)} as often"


def _dearer(change: WorkloadChange) -> str:
    return "" if math.isnan(change.times_cost) else f"each run {_times(change.times_cost)} as long"


def _each(change: WorkloadChange) -> str:
    now = cost_words(1e6 * change.seconds_per_hour / change.executions_per_hour) if change.executions_per_hour else ""
    if math.isnan(change.times_cost):
        return f"each takes {now}"
    if 1 / _STEADY_UP_TO <= change.times_cost <= _STEADY_UP_TO:
        return f"each takes {now}, as ever"
    before = cost_words(1e6 * change.normal_seconds_per_hour / change.normal_executions_per_hour)
    return f"each takes {now} instead of {before}"


def _times(ratio: float) -> str:
    return f"{ratio:,.1f} times" if ratio < 99.5 else f"{ratio:,.0f} times"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _days(days: int) -> str:
    return f"{days} earlier days"


def _moment(change: WorkloadChange) -> str:
    return moment_words(change.first_seen) if change.first_seen else "lately"


def _name(change: WorkloadChange) -> str:
    return f"{hash_text(change.query_hash)} on {change.ref}"
