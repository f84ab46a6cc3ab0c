"""Which databases the page of the fleet shows, and how it says so."""

from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.fleet import WHOLE_INSTANCE
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports.pages import FleetRow
from dbplanmon_pipeline.web.pages.fleet_view import FleetView, fleet_view

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def row(database: str, tried: timedelta, *, read: bool = False) -> FleetRow:
    at = NOW - tried
    status = CollectionStatus.OK if read else CollectionStatus.FAILED
    return FleetRow(DatabaseRef("pg", database), "postgres", at if read else None, at, status)


def view(*rows: FleetRow, interval: timedelta = 5 * MINUTE) -> FleetView:
    return fleet_view(rows, [], {}, watched={"pg": "postgres"}, now=NOW, interval=interval)


def shown(found: FleetView) -> list[str]:
    return sorted(card.ref.database for group in found.groups for card in group.databases)


def test_what_never_was_read_and_is_tried_no_more_is_left_out():
    assert shown(view(row("a", MINUTE, read=True), row("never", MINUTE))) == ["a", "never"]
    assert shown(view(row("a", MINUTE, read=True), row("left out", MINUTE + HOUR + MINUTE))) == ["a"]


def test_list_of_databases_that_is_there_again_is_no_trouble_any_more():
    assert shown(view(row("a", 6 * MINUTE, read=True), row(WHOLE_INSTANCE, MINUTE))) == [WHOLE_INSTANCE, "a"]
    found = view(row("a", MINUTE, read=True), row(WHOLE_INSTANCE, 6 * MINUTE))
    assert shown(found) == ["a"]
    assert (found.headline, found.lead) == ("All quiet", "The database was read within 15 minutes.")


def test_reading_that_is_newer_than_the_page_is_just_now():
    (group,) = view(row("a", -timedelta(seconds=2), read=True)).groups
    assert group.databases[0].fresh == "just now"


def test_limit_below_a_minute_is_told_in_seconds():
    assert view(row("a", timedelta(), read=True), interval=15 * timedelta(seconds=1)).lead.endswith("within 45 s.")
