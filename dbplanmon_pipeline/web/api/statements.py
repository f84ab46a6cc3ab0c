"""`/api/statements/{instance}/{database}/{query_hash}`: one statement over time."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.records import Record, incident_record, plan_change_record
from dbplanmon_pipeline.core.records_of_people import mute_record
from dbplanmon_pipeline.core.workload.words import growth_record
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.api.answers import Answer
from dbplanmon_pipeline.web.pages.statement import StatementFacts, statement_facts
from dbplanmon_pipeline.web.pages.statement_series import FIGURES, Rows

MOST_INTERVALS = 5_000
"""A year by day with a dozen plans, or three days of readings every minute with one."""


@require(Role.VIEWER)
def statement_json(request: Request) -> Response:
    """What it cost by reading, hour or day and plan, its plans, their changes and its incidents."""
    return Answer(_record(statement_facts(request)))


def _record(found: StatementFacts) -> Record:
    seen, text = found.seen, found.text
    return {
        "instance": seen.ref.instance,
        "database": seen.ref.database,
        "query_hash": hash_text(seen.query_hash),
        "statement": text.text if text else "",
        "kind": text.kind if text else "",
        "first_seen": seen.first_seen,
        "last_seen": seen.last_seen,
        "plan_hash": hash_text(seen.current_plan_hash),
        "plan_checked_at": seen.plan_checked_at,
        "plan_reason": seen.plan_reason,
        "span": found.span.key,
        "intervals": list(_intervals(found.rows)),
        "intervals_total": len(found.rows["interval_end_us"]),
        "normal": _normal(found),
        "growth": growth_record(found.growth),
        "plans": [
            {
                "plan_hash": hash_text(use.plan_hash),
                "first_seen": use.first_seen,
                "last_seen": use.last_seen,
                "is_kept": use.is_kept,
                "reason": use.reason,
            }
            for use in found.uses
        ],
        "plan_changes": [plan_change_record(row.change) for row in found.changes.rows],
        "plan_changes_total": found.changes.total,
        "incidents": [incident_record(incident) for incident in found.incidents.incidents],
        "incidents_total": found.incidents.total,
        "mutes": [mute_record(mute) for mute in found.mutes],
    }


def _intervals(rows: Rows) -> Iterator[Record]:
    """The newest ones, oldest first; sums over the interval, per plan."""
    names = ("plan_hash", "interval_start_us", "interval_end_us", *FIGURES)
    columns = [rows[name][-MOST_INTERVALS:].tolist() for name in names]
    for plan_hash, start, end, *figures in zip(*columns, strict=True):
        yield {
            "interval_start": from_epoch_us(start),
            "interval_end": from_epoch_us(end),
            "plan_hash": hash_text(plan_hash),
            **dict(zip(FIGURES, figures, strict=True)),
        }


def _normal(found: StatementFacts) -> Record | None:
    if found.normal is None:
        return None
    return {"as_of": found.normal.as_of, "median_us": found.normal.median_us, "p95_us": found.normal.p95_us}
