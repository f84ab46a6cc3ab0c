"""What people do in the week: mute, plan maintenance, take an incident."""

from datetime import datetime

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentState
from dbplanmon_pipeline.demo.week_script import MUTE, MUTED, PERSON, TAKEN, TAKEN_AT, WINDOW
from dbplanmon_pipeline.services.decide_incident import decide_incident
from dbplanmon_pipeline.store import SqlStore


def act(store: SqlStore, before: datetime, now: datetime) -> list[str]:
    """Do what is due after `before`, up to and with now, and was not done; returns it in words."""
    done = []
    if before < MUTE.created_at <= now and MUTE.mute_id not in {rule.mute_id for rule in store.mutes()}:
        store.add_mute(MUTE)
        done.append(f"{PERSON} mutes the statement {MUTED.about}: {MUTE.reason}")
    if before < WINDOW.created_at <= now and WINDOW.window_id not in {one.window_id for one in store.windows()}:
        store.add_window(WINDOW)
        hours = f"{WINDOW.starts:%H:%M} to {WINDOW.ends:%H:%M}"
        done.append(f"{PERSON} plans maintenance for Tuesday {hours}: {WINDOW.reason}")
    # At a long cadence the incident opens only after the time at which somebody would take it.
    if TAKEN_AT <= now < TAKEN.spells[-1][1]:
        done += _acknowledge(store, now)
    return done


def _acknowledge(store: SqlStore, now: datetime) -> list[str]:
    found = [one for one in store.open_incidents() if one.key == TAKEN.key and one.state is IncidentState.NEW]
    for incident in found:
        decide_incident(store, incident.incident_id, IncidentEvent.ACKNOWLEDGED, actor=PERSON, at=now)
    return [f"{PERSON} acknowledges the incident of {TAKEN.about}" for _ in found]
