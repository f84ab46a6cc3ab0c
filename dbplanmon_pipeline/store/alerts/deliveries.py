"""The queue of alerts: claims, attempts, and those that were given up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, bindparam, func, or_, select, update

from dbplanmon_pipeline.core.ports import Alert, DeadAlert, Delivery, QueuedAlert
from dbplanmon_pipeline.core.ports.alerts import ChannelFailures
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import alert, alert_delivery

PENDING, DELIVERED, GIVEN_UP, SUPPRESSED = "pending", "delivered", "given_up", "suppressed"
ALERT_FIELDS = tuple(Alert.__dataclass_fields__)
_UNCLAIMED = {"claimed_by": None, "claimed_until": None}


class DeliveryPart(StorePart):
    """What processors of alerts share, so that two of them never send the same one unless the first died."""

    def due_channels(self, now: datetime) -> dict[str, int]:
        """Pending alerts that are due, by the name of their channel."""
        due = select(alert.c.channel, func.count()).where(alert.c.state == PENDING, alert.c.next_attempt_at <= now)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(due.group_by(alert.c.channel))}

    def channel_failures(self, since: datetime) -> dict[str, ChannelFailures | None]:
        """Channels that were tried since then, by name: None where the newest message was taken."""
        made = alert_delivery.c
        joined = alert_delivery.join(alert, alert.c.alert_id == made.alert_id)
        recent = select(alert.c.channel, made.attempted_at, made.succeeded, made.error).select_from(joined)
        found: dict[str, ChannelFailures | None] = {}
        with self._database.read() as connection:
            for row in connection.execute(recent.where(made.attempted_at >= since).order_by(made.attempted_at)):
                before = found.get(row.channel)
                began = before.failing_since if before else row.attempted_at
                count = before.attempts + 1 if before else 1
                found[row.channel] = None if row.succeeded else ChannelFailures(row.channel, began, count, row.error)
        return found

    def claim_alerts(
        self, channel: str, *, now: datetime, until: datetime, claimant: str, limit: int
    ) -> list[QueuedAlert]:
        """Take due alerts of one channel, oldest first, for nobody else until then."""
        chosen = (
            select(alert)
            .where(
                alert.c.state == PENDING,
                alert.c.channel == channel,
                # In a form no index serves, so that the one in the order of the queue is walked up to the limit; with
                # that on times SQLite would sort all that is due for each claim.
                func.coalesce(alert.c.next_attempt_at, alert.c.next_attempt_at) <= now,
                _is_free(alert.c, now),
                ~_has_older(now),
            )
            .order_by(alert.c.created_at, alert.c.alert_id)
            .limit(limit)
            .with_for_update(skip_locked=True, of=alert)
        )
        with self._database.write() as connection:
            queued = [_queued(row) for row in connection.execute(chosen).mappings()]
            claim = alert.update().where(alert.c.alert_id.in_([item.alert.alert_id for item in queued]))
            if queued:
                connection.execute(claim.values(claimed_by=claimant, claimed_until=until))
        return queued

    def release_claims(self, claimant: str) -> None:
        """Give back what was claimed and not recorded."""
        mine = alert.update().where(alert.c.state == PENDING, alert.c.claimed_by == claimant)
        with self._database.write() as connection:
            connection.execute(mine.values(**_UNCLAIMED))

    def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Log attempts; a success or an attempt without a next one ends the alert."""
        with self._database.write() as connection:
            for delivery in deliveries:
                if insert_records(connection, alert_delivery, [asdict(delivery)], "ON CONFLICT DO NOTHING"):
                    _move_alert(connection, delivery)

    def deliveries(self, alert_id: str) -> list[Delivery]:
        """Attempts to send one alert, oldest first."""
        statement = select(alert_delivery).where(alert_delivery.c.alert_id == alert_id)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(alert_delivery.c.attempted_at)).mappings()
            return [Delivery(**row) for row in rows]

    def postpone_alerts(self, alert_ids: Iterable[str], until: datetime) -> None:
        """Let pending alerts wait without an attempt; their time to be tried begins then."""
        wanted = _pending_of(alert_ids).values(next_attempt_at=until, queued_at=until, **_UNCLAIMED)
        with self._database.write() as connection:
            connection.execute(wanted)

    def suppress_alerts(self, reasons: Mapping[str, str], at: datetime) -> None:
        """End pending alerts unsent, each with its reason."""
        with self._database.write() as connection:
            for alert_id, reason in reasons.items():
                connection.execute(_pending_of([alert_id]).values(**_ended(SUPPRESSED, reason, at)))

    def give_up_alerts(self, channel: str, queued_before: datetime, reason: str, at: datetime) -> int:
        """End pending alerts of a channel that were queued before then; returns how many."""
        old = alert.update().where(
            alert.c.state == PENDING,
            alert.c.channel == channel,
            alert.c.next_attempt_at.is_not(None),
            alert.c.queued_at < queued_before,
            _is_free(alert.c, at),
        )
        with self._database.write() as connection:
            return connection.execute(old.values(**_ended(GIVEN_UP, reason, at))).rowcount

    def told_incidents(self, channel: str, incident_ids: Iterable[str]) -> frozenset[str]:
        """Those of the incidents about which the channel took a message."""
        told = select(alert.c.incident_id).where(
            alert.c.incident_id.in_(list(incident_ids)), alert.c.channel == channel, alert.c.state == DELIVERED
        )
        with self._database.read() as connection:
            return frozenset(connection.execute(told.distinct()).scalars())

    def dead_alerts(
        self, *, channel: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[DeadAlert]:
        """Alerts that were given up, the last one first."""
        dead = select(alert).where(*_dead(channel, since)).order_by(alert.c.ended_at.desc(), alert.c.alert_id)
        with self._database.read() as connection:
            rows = connection.execute(dead.limit(limit)).mappings()
            return [DeadAlert(alert_of(row), row["attempts"], row["ended_at"], row["reason"]) for row in rows]

    def replay_alerts(self, at: datetime, *, channel: str | None = None, since: datetime | None = None) -> int:
        """Queue alerts that were given up, as if they were new, with the same idempotency key; returns how many."""
        again = {
            "state": PENDING,
            "attempts": 0,
            "queued_at": at,
            "next_attempt_at": at,
            "ended_at": None,
            "reason": "",
        }
        with self._database.write() as connection:
            return connection.execute(update(alert).where(*_dead(channel, since)).values(**again)).rowcount

    def alert_counts(self) -> dict[tuple[str, str], int]:
        """How many alerts there are, by channel and state."""
        counts = select(alert.c.channel, alert.c.state, func.count()).group_by(alert.c.channel, alert.c.state)
        with self._database.read() as connection:
            return {(channel, state): count for channel, state, count in connection.execute(counts)}


def _is_free(columns: Any, now: datetime) -> ColumnElement[bool]:
    return or_(columns.claimed_until.is_(None), columns.claimed_until <= now)


def _has_older(now: datetime) -> ColumnElement[bool]:
    """An older one of the same incident and channel is claimed elsewhere or waits for its next attempt."""
    older = alert.alias("older")
    return (
        select(older.c.alert_id)
        .where(
            older.c.incident_id == alert.c.incident_id,
            older.c.channel == alert.c.channel,
            # In a form no index serves: SQLite would take the one on states and walk the whole queue for each alert.
            func.coalesce(older.c.state, "") == PENDING,
            or_(
                older.c.created_at < alert.c.created_at,
                and_(older.c.created_at == alert.c.created_at, older.c.alert_id < alert.c.alert_id),
            ),
            or_(older.c.next_attempt_at > now, older.c.claimed_until > now),
        )
        .exists()
    )


def _pending_of(alert_ids: Iterable[str]) -> Any:
    return alert.update().where(alert.c.alert_id.in_(list(alert_ids)), alert.c.state == PENDING)


def _dead(channel: str | None, since: datetime | None) -> list[ColumnElement[bool]]:
    conditions = [alert.c.state == GIVEN_UP]
    if channel is not None:
        conditions.append(alert.c.channel == channel)
    if since is not None:
        conditions.append(alert.c.ended_at >= since)
    return conditions


def _ended(state: str, reason: str, at: datetime) -> dict[str, object]:
    return {"state": state, "reason": reason, "next_attempt_at": None, "ended_at": at, **_UNCLAIMED}


# Made once: it runs for each message, and to put it together takes longer than to run it.
_MOVE_ALERT = (
    alert.update()
    .where(alert.c.alert_id == bindparam("key"), alert.c.state == PENDING)
    .values(
        attempts=alert.c.attempts + 1,
        state=bindparam("new_state"),
        reason=bindparam("new_reason"),
        next_attempt_at=bindparam("new_next_attempt_at"),
        ended_at=bindparam("new_ended_at"),
        **_UNCLAIMED,
    )
)


def _move_alert(connection: Connection, delivery: Delivery) -> None:
    again = None if delivery.succeeded else delivery.next_attempt_at
    state = DELIVERED if delivery.succeeded else GIVEN_UP if again is None else PENDING
    changes = {
        "key": delivery.alert_id,
        "new_state": state,
        "new_reason": delivery.error,
        "new_next_attempt_at": again,
        "new_ended_at": None if state == PENDING else delivery.attempted_at,
    }
    connection.execute(_MOVE_ALERT, changes)


def _queued(row: RowMapping) -> QueuedAlert:
    return QueuedAlert(alert_of(row), row["attempts"], row["queued_at"])


def alert_of(row: RowMapping) -> Alert:
    """The alert that a row of the queue holds."""
    return Alert(**{name: row[name] for name in ALERT_FIELDS})
