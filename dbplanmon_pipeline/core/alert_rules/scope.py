"""Which mute rules and maintenance windows an alert falls under; everything a rule names must apply."""

from collections.abc import Sequence

from dbplanmon_pipeline.core.model import StatementText, hash_text
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow, MuteRule


def mute_of(alert: Alert, mutes: Sequence[MuteRule], statement: StatementText | None) -> MuteRule | None:
    """The first rule under which an alert falls."""
    return next((mute for mute in mutes if _applies(mute, alert, statement)), None)


def concerned_windows(alert: Alert, windows: Sequence[MaintenanceWindow]) -> list[MaintenanceWindow]:
    """Windows for the instance and database of an alert, open or not."""
    return [window for window in windows if _lies_in(alert, window.instance, window.database)]


def _applies(mute: MuteRule, alert: Alert, statement: StatementText | None) -> bool:
    facts = alert.facts
    text = statement.text if statement else str(facts.get("statement", ""))
    return (
        _lies_in(alert, mute.instance, mute.database)
        and (not mute.query_hash or facts.get("query_hash") == hash_text(mute.query_hash))
        and (not mute.label or facts.get("label") == mute.label)
        and (not mute.text or mute.text.casefold() in text.casefold())
    )


def _lies_in(alert: Alert, instance: str, database: str) -> bool:
    return (not instance or alert.facts.get("instance") == instance) and (
        not database or alert.facts.get("database") == database
    )
