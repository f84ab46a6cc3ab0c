"""Values of the house in the JSON of commands and pages; keys are stable and stand in docs/cli.md."""

from dataclasses import asdict

from dbplanmon_pipeline.core.causes.deployments import Deployment
from dbplanmon_pipeline.core.causes.ranking import RankedCause
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange
from dbplanmon_pipeline.core.model import CapturedPlan, CollectionOutcome, hash_text
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Alert, Hotspot, PlanChange, Suggestion

Record = dict[str, object]

LONGEST_WORDS = 600


def place(incident: Incident) -> str:
    """`instance/database`, or the instance alone where it is about all of it."""
    return f"{incident.instance}/{incident.database}" if incident.database else incident.instance


def incident_record(incident: Incident) -> Record:
    """All figures of an incident."""
    return {
        "incident_id": incident.incident_id,
        "scope": incident.scope,
        "instance": incident.instance,
        "database": incident.database,
        "query_hash": hash_text(incident.query_hash),
        "state": incident.state,
        "label": incident.label,
        "severity": incident.severity,
        "metric": incident.metric,
        "plan_hash": hash_text(incident.plan_hash),
        "previous_plan_hash": hash_text(incident.previous_plan_hash),
        "effect_ratio": incident.effect_ratio,
        "extra_seconds_per_hour": incident.extra_seconds_per_hour,
        "extra_seconds_low": incident.extra_seconds_low,
        "extra_seconds_high": incident.extra_seconds_high,
        "baseline_us": incident.baseline_us,
        "observed_us": incident.observed_us,
        "began_at": incident.began_at,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "last_bad_at": incident.last_bad_at,
        "calm_since": incident.calm_since,
        "calm_intervals": incident.calm_intervals,
        "closed_at": incident.closed_at,
        "reopened_count": incident.reopened_count,
        "evidence": incident.evidence,
        "note": incident.note,
        "failures": asdict(incident.failures) if incident.failures else None,
    }


def change_record(change: IncidentChange) -> Record:
    """One step of an incident."""
    return {
        "at": change.at,
        "event": change.event,
        "actor": change.actor,
        "note": change.note,
        "state": change.incident.state,
        "severity": change.incident.severity,
        "extra_seconds_per_hour": change.incident.extra_seconds_per_hour,
    }


def alert_record(alert: Alert) -> Record:
    """What one message is about, without its words."""
    return _picked(alert, "alert_id", "incident_id", "event", "channel", "severity", "created_at", "subject")


def suggestion_record(suggestion: Suggestion) -> Record:
    """One way back."""
    names = ("suggestion_id", "incident_id", "kind", "risk", "rationale", "script", "undo_script", "created_at")
    return _picked(suggestion, *names)


def plan_change_record(change: PlanChange) -> Record:
    """One change of plan."""
    return {
        "database": str(change.ref),
        "query_hash": hash_text(change.query_hash),
        "changed_at": change.changed_at,
        "plan_hash": hash_text(change.plan_hash),
        "previous_plan_hash": hash_text(change.previous_plan_hash),
        "summary": change.summary,
    }


def outcome_record(outcome: CollectionOutcome) -> Record:
    """How the reading of one database went."""
    return {
        "target": str(outcome.ref),
        "status": outcome.status,
        "error_class": outcome.error_class,
        "message": outcome.message,
        "rows": outcome.rows,
        "statements_read": outcome.statements_read,
        "new_statements": outcome.new_statements,
        "new_plans": outcome.new_plans,
        "plan_changes": outcome.plan_changes,
        "resets": outcome.resets,
        "gap_seconds": outcome.gap_seconds,
        "duration_ms": round(outcome.duration_ms, 1),
        "cost_ms": outcome.cost_ms,
    }


def hotspot_record(hotspot: Hotspot, statement: str) -> Record:
    """One of the dearest statements."""
    return {
        "rank": hotspot.rank,
        "rank_by": hotspot.rank_by,
        "database": str(hotspot.ref),
        "query_hash": hash_text(hotspot.query_hash),
        "execution_count": hotspot.execution_count,
        "elapsed_time_us": hotspot.elapsed_time_us,
        "worker_time_us": hotspot.worker_time_us,
        "logical_reads_pages": hotspot.logical_reads_pages,
        "share": hotspot.share,
        "statement": statement,
    }


def cause_record(cause: RankedCause) -> Record:
    """One change that may have caused an incident; `at` is null where only two plans show it."""
    candidate = cause.candidate
    return {
        "kind": candidate.kind,
        "at": candidate.at,
        "what": one_line(candidate.what, LONGEST_WORDS),
        "about": candidate.about,
        "table": candidate.table,
        "plausibility": cause.plausibility,
        "word": cause.word,
        "evidence": [one_line(line, LONGEST_WORDS) for line in cause.evidence],
    }


def deployment_record(deployment: Deployment) -> Record:
    """One marker of a deployment."""
    return {
        "deployment_id": deployment.deployment_id,
        "name": deployment.name,
        "instance": deployment.instance,
        "database": deployment.database,
        "deployed_at": deployment.deployed_at,
        "note": deployment.note,
        "created_at": deployment.created_at,
        "created_by": deployment.created_by,
    }


def captured_plan_record(plan: CapturedPlan | None) -> Record | None:
    """A stored plan without its body."""
    if plan is None:
        return None
    return {"plan_hash": hash_text(plan.plan_hash), "format": plan.format, "origin": plan.origin}


def _picked(value: object, *names: str) -> Record:
    """Fields of a value whose keys are their names."""
    return {name: getattr(value, name) for name in names}
