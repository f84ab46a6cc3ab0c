"""Mute rules and maintenance windows; who made and ended them, and why, stands in the audit."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, time
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, or_, select

from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow, MuteRule
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import maintenance_window, mute_rule

_WEEKDAYS = "0123456"


class MutePart(StorePart):
    """What people chose not to hear of, and when."""

    def add_mute(self, mute: MuteRule) -> None:
        """Store a rule and who made it, and why, in the audit."""
        self._add(mute_rule, asdict(mute), "mute added", mute.mute_id, mute.created_by)

    def mutes(self, *, at: datetime | None = None) -> list[MuteRule]:
        """All rules, or those in force at a moment, the oldest first."""
        with self._database.read() as connection:
            return mutes_in_force(connection, at)

    def remove_mute(self, mute_id: str, actor: str, reason: str) -> bool:
        """End a rule; false where it had ended."""
        return self._remove(mute_rule, mute_rule.c.mute_id == mute_id, "mute removed", mute_id, actor, reason)

    def add_window(self, window: MaintenanceWindow) -> None:
        """Store a window and who made it, and why, in the audit."""
        self._add(maintenance_window, _window_record(window), "maintenance added", window.window_id, window.created_by)

    def windows(self, *, every: bool = False) -> list[MaintenanceWindow]:
        """Windows that were not removed, or all, the oldest first."""
        with self._database.read() as connection:
            return windows_in_force(connection, every=every)

    def remove_window(self, window_id: str, actor: str, reason: str) -> bool:
        """End a window; false where it had ended."""
        chosen = maintenance_window.c.window_id == window_id
        return self._remove(maintenance_window, chosen, "maintenance removed", window_id, actor, reason)

    def _add(self, table: Table, record: Mapping[str, Any], action: str, subject: str, actor: str) -> None:
        with self._database.write() as connection:
            if insert_records(connection, table, [record], "ON CONFLICT DO NOTHING"):
                self._note(connection, actor, action, subject, record)

    def _remove(self, table: Table, chosen: Any, action: str, subject: str, actor: str, reason: str) -> bool:
        now = self._clock()
        ending = table.update().where(chosen, table.c.removed_at.is_(None)).values(removed_at=now)
        with self._database.write() as connection:
            ended = connection.execute(ending).rowcount > 0
            if ended:
                self._note(connection, actor, action, subject, {"reason": reason})
        return ended


def mutes_in_force(connection: Connection, at: datetime | None) -> list[MuteRule]:
    """Rules in force at a moment, or all, the oldest first."""
    statement = select(mute_rule).order_by(mute_rule.c.created_at, mute_rule.c.mute_id)
    if at is not None:
        in_time = or_(mute_rule.c.expires_at.is_(None), mute_rule.c.expires_at > at)
        statement = statement.where(mute_rule.c.removed_at.is_(None), in_time)
    return [MuteRule(**row) for row in connection.execute(statement).mappings()]


def windows_in_force(connection: Connection, *, every: bool = False) -> list[MaintenanceWindow]:
    """Windows that were not removed, or all, the oldest first."""
    table = maintenance_window
    statement = select(table).order_by(table.c.created_at, table.c.window_id)
    if not every:
        statement = statement.where(table.c.removed_at.is_(None))
    return [_window(row) for row in connection.execute(statement).mappings()]


def _window_record(window: MaintenanceWindow) -> dict[str, Any]:
    return asdict(window) | {
        "weekdays": "".join(day for day in _WEEKDAYS if int(day) in window.weekdays),
        "starts": f"{window.starts:%H:%M}",
        "ends": f"{window.ends:%H:%M}",
    }


def _window(row: RowMapping) -> MaintenanceWindow:
    facts = dict(row) | {
        "weekdays": frozenset(int(day) for day in row["weekdays"]),
        "starts": time.fromisoformat(row["starts"]),
        "ends": time.fromisoformat(row["ends"]),
    }
    return MaintenanceWindow(**facts)
