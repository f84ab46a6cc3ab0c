"""Incidents step by step: what an evaluation says, and a ledger that keeps what came of it."""

from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy, advance, transition
from dbplanmon_pipeline.core.model import DatabaseRef, Label, Severity
from dbplanmon_pipeline.core.verdict.model import Evaluation, InstanceVerdict, Verdict

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
REF = DatabaseRef("shop", "orders")
POLICY = IncidentPolicy(step=STEP, calm_after=3 * STEP, instance_calm_after=2 * STEP)


def tick(number):
    return NOON + number * STEP


def verdict(number, *, severity=Severity.HIGH, label=Label.PLAN_REGRESSION, effect=4.0, previous_plan=5):
    return Verdict(
        ref=REF,
        query_hash=42,
        plan_hash=6,
        previous_plan_hash=previous_plan,
        label=label,
        severity=severity,
        metric="worker_time_us",
        effect_ratio=effect,
        extra_seconds_per_hour=100.0 + number,
        extra_seconds_low=90.0,
        extra_seconds_high=120.0,
        baseline_us=10.0,
        observed_us=40.0,
        score=9.0,
        window_intervals=3,
        began_at=tick(number - 3),
        evidence=("reason",),
    )


def slow_instance(number):
    return InstanceVerdict("shop", Severity.MEDIUM, 2.0, 50.0, 30, tick(number - 2), ("reason",))


def evaluation(number, *verdicts, instances=(), active=True, slow=()):
    ran = frozenset({(REF, 42)}) if active else frozenset()
    return Evaluation(tick(number), tuple(verdicts), tuple(instances), ran, 1, 0, frozenset(slow))


class Ledger:
    """Keeps what the changes say, as a store would."""

    def __init__(self, policy=POLICY):
        self.policy = policy
        self.incidents = {}

    def apply(self, changes):
        self.incidents |= {change.incident.incident_id: change.incident for change in changes}
        return [str(change.event) for change in changes]

    def judge(self, said):
        known = self.incidents.values()
        still_open = [incident for incident in known if incident.state.is_open]
        closed = [incident for incident in known if not incident.state.is_open]
        return self.apply(advance(still_open, closed, said, self.policy))

    def decide(self, event, number):
        self.apply([transition(self.only, event, "dba", tick(number), "seen")])

    @property
    def only(self):
        (incident,) = self.incidents.values()
        return incident
