"""A person's wish not to hear of some alerts for a while; who wished it and why stands in the audit."""

import hashlib
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.ports.alert_rules import AlertChoiceStore, MuteRule
from dbplanmon_pipeline.errors import DbPlanMonError

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "never": None}
"""How long a rule holds; the last one until it is removed."""


class NothingToMute(DbPlanMonError):
    """A rule must name something, and a span that exists."""


class UnknownMute(DbPlanMonError):
    """No rule of this id is in force."""


@dataclass(frozen=True, slots=True)
class MuteScope:
    """Alerts to which everything applies that is given; see `MuteRule`."""

    instance: str = ""
    database: str = ""
    query_hash: int = 0
    label: str = ""
    text: str = ""


def mute_alerts(
    store: AlertChoiceStore, scope: MuteScope, *, span: str, actor: str, at: datetime, reason: str = ""
) -> MuteRule:
    """Add a rule that holds for a span of `SPANS`.

    Raises:
        NothingToMute: the scope is everything, or there is no such span.
    """
    if scope == MuteScope():
        raise NothingToMute("name what to mute: an instance, a database, a statement, a label or a text")
    if span not in SPANS:
        raise NothingToMute(f"mute for {', '.join(SPANS)}, not for {span!r}")
    lasting = SPANS[span]
    rule = MuteRule(
        mute_id=_new_id(scope, at),
        created_at=at,
        created_by=actor,
        reason=reason,
        instance=scope.instance,
        database=scope.database,
        query_hash=scope.query_hash,
        label=scope.label,
        text=scope.text,
        expires_at=at + lasting if lasting else None,
    )
    store.add_mute(rule)
    return rule


def unmute_alerts(store: AlertChoiceStore, mute_id: str, *, actor: str, at: datetime, reason: str = "") -> MuteRule:
    """End a rule; what it muted stays muted.

    Returns:
        The rule that held until now.

    Raises:
        UnknownMute: it has ended, was removed by somebody else just now, or never was.
    """
    rule = next((rule for rule in store.mutes(at=at) if rule.mute_id == mute_id), None)
    if rule is None or not store.remove_mute(mute_id, actor, reason):
        raise UnknownMute(f"no mute rule {mute_id[:40]!r} is in force any more; see dbplanmon mute list --all")
    return rule


def _new_id(scope: MuteScope, at: datetime) -> str:
    """12 hex digits."""
    parts = ("mute", at.isoformat(), *map(str, astuple(scope)))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]
