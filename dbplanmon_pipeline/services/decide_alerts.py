"""Decide about queued alerts before they are sent: batch by batch, each in one transaction, one process at a time."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from dbplanmon_pipeline.core.alert_rules.ends import tracked_ends
from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy
from dbplanmon_pipeline.core.alert_rules.rules import decide
from dbplanmon_pipeline.core.ports import Clock
from dbplanmon_pipeline.core.ports.alert_rules import AlertRow, AlertRulesStore, AlertState

BATCH = 1_000
"""Alerts of one transaction: whoever writes at the same time waits for less than half a second. With a smaller one the
past of the same incidents is read again and again: 100 took twice the time for a queue of 10,000."""

LONGEST_PASS = timedelta(seconds=20)
"""A pass is over before the next one begins; what is left is decided then."""


@dataclass(frozen=True, slots=True)
class DecisionReport:
    """What one pass decided.

    Attributes:
        let_through: alerts that may be sent now, groups, notices and their ends included.
        states: how many were moved to each other state, groups and reminders included.
        batches: transactions.
    """

    let_through: int = 0
    states: Mapping[AlertState, int] = field(default_factory=dict)
    batches: int = 0


def decide_alerts(
    store: AlertRulesStore,
    policy: AlertPolicy,
    *,
    now: Clock,
    batch: int = BATCH,
    stopped: Callable[[], bool] = lambda: False,
) -> DecisionReport:
    """Decide about everything that waits for it, and end what is over; repeating it at once decides nothing.

    A crash loses no decision but that of its own batch, which is made again; for the rules see `core/alert_rules/`.
    """
    began = now()
    states: Counter[AlertState] = Counter()
    batches = 0
    while not stopped() and now() - began < LONGEST_PASS:
        decisions = store.decide_alerts(now(), batch, partial(decide, policy=policy))
        rows: tuple[AlertRow, ...] = (*decisions.changed, *decisions.added)
        if not rows:
            break
        batches += 1
        states.update(row.state for row in rows)
    states[AlertState.PENDING] += _end_what_is_over(store, policy, now())
    return DecisionReport(states.pop(AlertState.PENDING), dict(states), batches)


def _end_what_is_over(store: AlertRulesStore, policy: AlertPolicy, now: datetime) -> int:
    if not policy.trackers:
        return 0
    return len(store.end_tracked(now, policy.trackers, partial(tracked_ends, now=now)).ends)


def ends_due(store: AlertRulesStore, policy: AlertPolicy, now: datetime) -> bool:
    """True where a channel keeps open what is over."""
    return bool(policy.trackers and tracked_ends(store.tracked_keys(policy.trackers), now).ends)
