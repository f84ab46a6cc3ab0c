"""Decisions about alerts: what they depend on is read, and what they say is stored, in one transaction."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    exists,
    func,
    select,
    text,
)

from dbplanmon_pipeline.core.alert_rules.messages import GROUP, MORE
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import StatementText, hash_int
from dbplanmon_pipeline.core.ports.alert_rules import (
    AlertRow,
    AlertRule,
    AlertState,
    Decisions,
    Situation,
    ToldGroup,
    TrackedEnds,
    TrackedKey,
)
from dbplanmon_pipeline.store.alerts.deliveries import alert_of
from dbplanmon_pipeline.store.alerts.mutes import mutes_in_force, windows_in_force
from dbplanmon_pipeline.store.alerts.past import incidents_by_id, parts, past_of
from dbplanmon_pipeline.store.alerts.queue import alert_record
from dbplanmon_pipeline.store.alerts.tracked import settle, tracked_keys
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import alert, monitored_database, query, query_text

_LOCK = 7_204_118_551
"""Name of the lock that keeps two processes from deciding at the same time; SQLite has one writer anyway."""

_COUNTED = ("pending", "delivered", "given_up")
_ENDS = (AlertState.MUTED, AlertState.SUPPRESSED, AlertState.GROUPED)
_HOUR = timedelta(hours=1)
_OPENED = IncidentEvent.OPENED.value
_UNDECIDED = and_(alert.c.state == AlertState.PENDING.value, alert.c.next_attempt_at.is_(None))


class AlertDecisionPart(StorePart):
    """The queue as those see it who decide what is sent."""

    def decide_alerts(self, now: datetime, limit: int, decide: Callable[[Situation], Decisions]) -> Decisions:
        """Let `decide` look at alerts that are due and store what it says, all in one transaction of its own."""
        with self._database.write() as connection:
            _lock(connection)
            due = _due(connection, now, limit)
            if not due:
                return Decisions()
            decisions = decide(_situation(connection, due, now))
            _store(connection, due, decisions, now)
        return decisions

    def tracked_keys(self, channels: Iterable[str]) -> list[TrackedKey]:
        """What these channels keep open though no incident told under it is open."""
        with self._database.read() as connection:
            return tracked_keys(connection, channels)

    def end_tracked(
        self, now: datetime, channels: Iterable[str], look: Callable[[Sequence[TrackedKey]], TrackedEnds]
    ) -> TrackedEnds:
        """Let `look` see what these channels keep open, and store what it says, in one transaction of its own."""
        names = sorted(channels)
        # Most of the time nothing follows; whoever writes does not wait for finding that out.
        if look(self.tracked_keys(names)) == TrackedEnds():
            return TrackedEnds()
        with self._database.write() as connection:
            _lock(connection)
            found = look(tracked_keys(connection, names))
            insert_records(connection, alert, [_record(row, now) for row in found.ends], "ON CONFLICT DO NOTHING")
            settle(connection, found.settled)
        return found

    def decisions_due(self, now: datetime) -> bool:
        """True where an alert waits for a decision."""
        held = and_(alert.c.state == AlertState.HELD.value, alert.c.next_attempt_at <= now)
        with self._database.read() as connection:
            return any(connection.scalar(select(exists().where(one))) for one in (_UNDECIDED, held))

    def alert_rows(
        self, *, states: Iterable[str] | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[AlertRow]:
        """Alerts and what was decided about them, the newest first; of some states, or created since a moment."""
        statement = select(alert).order_by(alert.c.created_at.desc(), alert.c.alert_id).limit(limit)
        if states is not None:
            statement = statement.where(alert.c.state.in_(list(states)))
        if since is not None:
            statement = statement.where(alert.c.created_at >= since)
        with self._database.read() as connection:
            return [_row(found) for found in connection.execute(statement).mappings()]

    def alert_decisions(self, since: datetime | None = None) -> dict[tuple[AlertState, AlertRule], int]:
        """How many alerts there are, by state and by the rule that decided."""
        counts = select(alert.c.state, alert.c.rule, func.count()).group_by(alert.c.state, alert.c.rule)
        if since is not None:
            counts = counts.where(alert.c.created_at >= since)
        with self._database.read() as connection:
            return {(AlertState(state), AlertRule(rule)): n for state, rule, n in connection.execute(counts)}


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _due(connection: Connection, now: datetime, limit: int) -> list[AlertRow]:
    """Undecided ones first, then those whose wait is over; each with all that belongs together with it."""
    fresh = select(alert).where(_UNDECIDED).order_by(alert.c.created_at, alert.c.instance, alert.c.alert_id)
    rows = _whole_steps(connection, fresh, limit, alert.c.created_at, _UNDECIDED)
    over = and_(alert.c.state == AlertState.HELD.value, alert.c.next_attempt_at <= now)
    waited = select(alert).where(over).order_by(alert.c.next_attempt_at, alert.c.instance, alert.c.alert_id)
    rows += _whole_steps(connection, waited, limit, alert.c.next_attempt_at, over)
    full = {row["channel"] for row in rows if row["rule"] == AlertRule.CAP.value}
    if full:
        held = and_(over, alert.c.rule == AlertRule.CAP.value, alert.c.channel.in_(full))
        rows += connection.execute(select(alert).where(held)).mappings().all()
    return [_row(row) for row in {row["alert_id"]: row for row in rows}.values()]


def _whole_steps(
    connection: Connection,
    statement: Select[Any],
    limit: int,
    moment: ColumnElement[Any],
    condition: ColumnElement[bool],
) -> list[RowMapping]:
    """The first rows, and the rest of the step of which the last one is a part."""
    rows = list(connection.execute(statement.limit(limit)).mappings())
    if len(rows) < limit:
        return rows
    last = rows[-1]
    step = and_(condition, moment == last[moment.key or ""], alert.c.instance == last["instance"])
    return rows + list(connection.execute(select(alert).where(step)).mappings())


def _situation(connection: Connection, due: Sequence[AlertRow], now: datetime) -> Situation:
    about = {row.alert.incident_id for row in due}
    capped = {row.alert.incident_id for row in due if row.rule is AlertRule.CAP and ":" not in row.alert.incident_id}
    single = {row.alert.incident_id for row in due if row.rule is not AlertRule.CAP}
    past = past_of(connection, about - (capped - single))
    incidents = incidents_by_id(connection, about | {one.incident_id for one in past})
    mutes = mutes_in_force(connection, now)
    released, noticed = _this_hour(connection, now, {row.alert.channel for row in due})
    return Situation(
        now=now,
        due=due,
        past=past,
        incidents=incidents,
        released=released,
        noticed=noticed,
        mutes=mutes,
        windows=windows_in_force(connection),
        texts=_texts(connection, due) if any(mute.text for mute in mutes) else {},
        groups=_told_groups(connection, now, {row.alert.channel for row in due if row.alert.event == _OPENED}),
    )


def _told_groups(connection: Connection, now: datetime, channels: AbstractSet[str]) -> list[ToldGroup]:
    """Groups of openings that these channels were told of within the last hour and that last, the newest first."""
    if not channels:
        return []
    end = alert.alias("end")
    ended = select(end.c.alert_id).where(
        end.c.incident_id == alert.c.incident_id,
        end.c.channel == alert.c.channel,
        end.c.event == IncidentEvent.AUTO_RESOLVED.value,
    )
    names = ("alert_id", "incident_id", "channel", "instance", "created_at", "facts")
    columns = [alert.c[name] for name in names]
    told = select(*columns).where(
        alert.c.created_at > now - _HOUR,
        alert.c.channel.in_(sorted(channels)),
        alert.c.incident_id.like(f"{GROUP}%"),
        alert.c.event == _OPENED,
        alert.c.state.in_(("pending", "delivered")),
        ~ended.exists(),
    )
    return [
        ToldGroup(group_id, channel, instance, str(facts.get("cause", "")), len(facts.get("incidents", ())), at)
        for alert_id, group_id, channel, instance, at, facts in connection.execute(
            told.order_by(alert.c.created_at.desc(), alert.c.alert_id)
        )
        # What joined a group bears its id, and is no group of its own.
        if group_id == GROUP + alert_id
    ]


def _this_hour(connection: Connection, now: datetime, channels: Iterable[str]) -> tuple[dict[str, int], frozenset[str]]:
    """By channel, what was let through in this clock hour; and channels that got their notice about the rest."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    this_hour = and_(alert.c.decided_at >= hour, alert.c.decided_at < hour + _HOUR)
    let_through = and_(alert.c.channel.in_(sorted(channels)), this_hour, alert.c.state.in_(_COUNTED))
    counts = select(alert.c.channel, alert.c.event, func.count()).where(
        let_through, alert.c.incident_id.not_like("summary:%")
    )
    released: Counter[str] = Counter()
    noticed = set()
    for channel, event, count in connection.execute(counts.group_by(alert.c.channel, alert.c.event)):
        if event == MORE:
            noticed.add(channel)
        else:
            released[channel] += count
    return dict(released), frozenset(noticed)


def _texts(connection: Connection, due: Sequence[AlertRow]) -> dict[str, StatementText]:
    """Whole statements, since alerts carry only their beginnings."""
    wanted: dict[int, list[AlertRow]] = {}
    for row in due:
        if value := hash_int(str(row.alert.facts.get("query_hash", ""))):
            wanted.setdefault(value, []).append(row)
    columns = (monitored_database.c.instance, monitored_database.c.database, query.c.query_hash, query_text.c.text)
    joined = (
        select(*columns)
        .join(query, query.c.database_id == monitored_database.c.database_id)
        .join(query_text, query_text.c.text_sha256 == query.c.text_sha256)
    )
    return {
        row.alert.incident_id: StatementText(value, statement)
        for part in parts(wanted)
        for instance, database, value, statement in connection.execute(joined.where(query.c.query_hash.in_(part)))
        for row in wanted[value]
        if (row.alert.facts.get("instance"), row.alert.facts.get("database")) == (instance, database)
    }


def _store(connection: Connection, due: Sequence[AlertRow], decisions: Decisions, now: datetime) -> None:
    """New alerts, and new forms of those that still stand where they stood when they were read."""
    insert_records(connection, alert, [_record(row, now) for row in decisions.added], "ON CONFLICT DO NOTHING")
    before = {row.alert.alert_id: row for row in due}
    plain: list[dict[str, Any]] = []
    reworded: list[dict[str, Any]] = []
    for row in decisions.changed:
        old = before[row.alert.alert_id]
        target = plain if row.alert is old.alert else reworded
        target.append({**_standing(row, now), "key": row.alert.alert_id, "was": old.state.value, **_words(row, old)})
    for records in (plain, reworded):
        if records:
            names = [name for name in records[0] if name not in ("key", "was")]
            same = (alert.c.alert_id == bindparam("key")) & (alert.c.state == bindparam("was"))
            change = alert.update().where(same).values({name: bindparam(f"new_{name}") for name in names})
            connection.execute(
                change,
                [
                    {(name if name in ("key", "was") else f"new_{name}"): v for name, v in one.items()}
                    for one in records
                ],
            )


def _standing(row: AlertRow, now: datetime) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": row.state.value,
        "rule": row.rule.value,
        "reason": row.reason,
        "next_attempt_at": row.next_attempt_at,
        "grouped_into": row.grouped_into or None,
        "tracked_as": row.tracked_as or None,
        "decided_at": row.decided_at,
        "ended_at": now if row.state in _ENDS else None,
        "queued_at": now,
    }
    return changes


def _words(row: AlertRow, old: AlertRow) -> dict[str, Any]:
    if row.alert is old.alert:
        return {}
    new = row.alert
    return {"severity": new.severity, "subject": new.subject, "body": new.body, "facts": dict(new.facts)}


def _record(row: AlertRow, now: datetime) -> Mapping[str, Any]:
    return {**alert_record(row.alert), **_standing(row, now)}


def _row(row: RowMapping) -> AlertRow:
    return AlertRow(
        alert_of(row),
        AlertState(row["state"]),
        AlertRule(row["rule"]),
        row["reason"],
        row["next_attempt_at"],
        row["grouped_into"] or "",
        row["decided_at"],
        row["tracked_as"] or "",
    )
