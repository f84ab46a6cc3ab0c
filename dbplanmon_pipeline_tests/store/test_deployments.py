"""Contract: markers of deployments, their audit and their table."""

from datetime import timedelta

from dbplanmon_pipeline.core.causes.deployments import Deployment, new_deployment
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import NOON

HOUR = timedelta(hours=1)


def marked(name: str, hours: int = 0, **place: str) -> Deployment:
    at = NOON + HOUR * hours
    return new_deployment(name, deployed_at=at, note="why 'not'", now=at, actor="ann", **place)


def test_markers_come_back_as_they_were_by_time(store: SqlStore) -> None:
    later, first = marked("shop 2.5", 2, instance="prod"), marked("shop 2.4", 1, database="Sales")
    assert store.add_deployment(later)
    assert store.add_deployment(first)
    assert store.deployments(NOON, NOON + 9 * HOUR) == [first, later]
    assert store.deployments(first.deployed_at, first.deployed_at) == [first]
    assert store.deployments(NOON + 3 * HOUR, NOON + 9 * HOUR) == []


def test_the_same_marker_twice_is_one_and_audited_once(store: SqlStore) -> None:
    marker = marked("shop 2.4")
    assert [store.add_deployment(marker), store.add_deployment(marker)] == [True, False]
    assert store.deployments(NOON, NOON) == [marker]
    (entry,) = store.audit(NOON - HOUR)
    assert (entry.actor, entry.action, entry.subject) == ("ann", "deployment marked", marker.deployment_id)
    assert (entry.detail["name"], entry.detail["note"]) == ("shop 2.4", "why 'not'")


def test_a_marker_taken_back_is_gone_and_the_audit_keeps_both(store: SqlStore) -> None:
    marker, other = marked("shop 2.4", instance="prod"), marked("shop 2.5", 1)
    store.add_deployment(marker)
    store.add_deployment(other)
    assert [store.remove_deployment(marker.deployment_id, "bob", "wrong server") for _ in range(2)] == [True, False]
    assert store.deployments(NOON, NOON + 9 * HOUR) == [other]
    told = [one for one in store.audit(NOON - HOUR) if one.subject == marker.deployment_id]
    assert {(one.action, one.actor) for one in told} == {("deployment marked", "ann"), ("deployment removed", "bob")}
    (removed,) = (one.detail for one in told if one.actor == "bob")
    assert (removed["name"], removed["instance"], removed["reason"]) == ("shop 2.4", "prod", "wrong server")
    assert removed["created_by"] == "ann"
    assert store.add_deployment(marker)


def test_their_table_comes_and_goes_with_its_migration(store: SqlStore) -> None:
    store.add_deployment(marked("shop 2.4"))
    store.downgrade("0001")
    down = store.schema_status()
    assert (down.revision, down.missing_tables) == ("0001", ("deployment",))
    assert store.upgrade().is_current
    assert store.deployments(NOON, NOON) == []
    assert len(store.audit(NOON - HOUR)) == 1
