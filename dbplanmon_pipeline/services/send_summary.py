"""Queue a summary for the channels, once per day and channel however often it is made."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

from dbplanmon_pipeline.core.alerts.incident_alerts import alert_key
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert, AlertStore
from dbplanmon_pipeline.core.ports.summary import SummaryStore
from dbplanmon_pipeline.core.summary.pages import summary_html, summary_text
from dbplanmon_pipeline.core.summary.period import DaySummary
from dbplanmon_pipeline.core.summary.rows import reasons_of, title_of

EVENT = "summary"
_PICTURE_ID = "dbplanmon-{}"
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def is_news(summary: DaySummary, now: datetime) -> bool:
    """True for a summary that ends with yesterday; older ones are backfills, and today is not over."""
    return summary.last_day == now.astimezone(UTC).date() - timedelta(days=1)


def was_watched(store: SummaryStore, summary: DaySummary) -> bool:
    """False for days before anything was ever read: who begins at night need not hear that yesterday is missing."""
    end = datetime.combine(summary.last_day + timedelta(days=1), time(), UTC)
    return bool(summary.watches or store.watches(_EVER, end))


def send_summary(
    store: AlertStore,
    summary: DaySummary,
    pictures: Mapping[str, str],
    channels: Sequence[str],
    *,
    now: datetime,
    page: str = "",
) -> int:
    """Queue it for each channel that has not got it yet.

    Args:
        store: the queue.
        summary: a day or a week.
        pictures: PNGs in base64 by the names of `PICTURES`.
        channels: those that want summaries.
        now: aware.
        page: address of the status page, to which the summary links; empty where people cannot reach one.

    Returns:
        How many messages were queued; 0 for anything but yesterday's.
    """
    if not is_news(summary, now):
        return 0
    facts = _facts(summary, pictures, page)
    return store.add_alerts(
        [
            Alert(
                alert_id=alert_key(summary.key, EVENT, summary.last_day.isoformat(), channel),
                incident_id=summary.key,
                event=EVENT,
                channel=channel,
                severity=Severity.LOW.value,
                created_at=now,
                subject=f"[summary] {title_of(summary)}",
                body=summary_text(summary, page),
                facts=facts,
            )
            for channel in channels
        ]
    )


def _facts(summary: DaySummary, pictures: Mapping[str, str], page: str) -> dict[str, object]:
    named = {name: _PICTURE_ID.format(name) for name in pictures}
    return {
        "day": summary.day.isoformat(),
        "last_day": summary.last_day.isoformat(),
        "grade": summary.grade.value,
        "reasons": list(reasons_of(summary)),
        "opened": len(summary.opened),
        "closed": len(summary.closed),
        "ongoing": len(summary.ongoing),
        "plan_changes": len(summary.plan_changes),
        "databases_read": summary.databases_read,
        "failed_readings": summary.failed_readings,
        "html": summary_html(summary, {name: f"cid:{cid}" for name, cid in named.items()}, page),
        "pictures": {cid: pictures[name] for name, cid in named.items()},
        "link": page or None,
    }
