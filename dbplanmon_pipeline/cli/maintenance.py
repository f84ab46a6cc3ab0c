"""`dbplanmon maintenance`: hours in which messages wait."""

from datetime import datetime, time

import click

from dbplanmon_pipeline.cli.choices import actor_option, chosen, known_place, new_id, reason_option
from dbplanmon_pipeline.cli.invocation import (
    Invocation,
    json_option,
    operating_system_user,
    pass_invocation,
    utc_now,
)
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.alert_rules.windows import WEEKDAYS, UnknownTimeZone, open_until, zone_of
from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow
from dbplanmon_pipeline.core.records_of_people import window_record


def _days(ctx: click.Context, param: click.Parameter, value: str) -> frozenset[int]:
    found: set[int] = set()
    for part in value.lower().split(","):
        first, dash, last = part.strip().partition("-")
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            raise click.BadParameter(f"{part.strip()!r} is no day; write mon,tue or sat-sun", ctx, param)
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)


def _clock(ctx: click.Context, param: click.Parameter, value: str) -> time:
    from dbplanmon_pipeline.settings.values import parse_clock  # noqa: PLC0415 - see `Invocation.settings`

    try:
        return parse_clock(value).replace(tzinfo=None)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time of day; write 22:00", ctx, param) from None


def _zone(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return zone_of(value).key
    except UnknownTimeZone as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.group()
def maintenance() -> None:
    """Add, list and remove maintenance windows; messages wait until they end."""


@maintenance.command("add")
@click.option("--days", required=True, metavar="DAYS", callback=_days, help="On which it begins: mon,tue or sat-sun.")
@click.option("--start", required=True, metavar="HH:MM", callback=_clock, help="Clock on the wall.")
@click.option("--end", required=True, metavar="HH:MM", callback=_clock, help="Not after the start: on the next day.")
@click.option("--zone", default="UTC", show_default=True, callback=_zone, help="Time zone, such as Europe/Berlin.")
@click.option("--instance", default="", metavar="NAME", help="Only for this instance.")
@click.option("--database", default="", metavar="NAME", help="Only for databases of this name.")
@reason_option
@actor_option
@json_option
@pass_invocation
def add(
    invocation: Invocation,
    days: frozenset[int],
    start: time,
    end: time,
    zone: str,
    instance: str,
    database: str,
    reason: str,
    actor: str | None,
    as_json: bool,
) -> None:
    """Let messages wait in these hours, every week; what is over by their end is not sent."""
    now = utc_now()
    window = MaintenanceWindow(
        new_id("maintenance", now, str(sorted(days)), str(start), str(end), zone, instance, database),
        days,
        start,
        end,
        zone,
        now,
        actor or operating_system_user(),
        reason,
        instance,
        database,
    )
    with invocation.session() as session:
        known_place(session, instance, database)
        session.store.add_window(window)
    if as_json:
        print_json(window_record(window, now))
    else:
        print_line(f"maintenance window {window.window_id}: {_hours(window)}, {_scope(window)}")


@maintenance.command("list")
@click.option("--all", "every", is_flag=True, help="Removed ones, too.")
@json_option
@pass_invocation
def list_windows(invocation: Invocation, every: bool, as_json: bool) -> None:
    """List maintenance windows, the oldest first, and whether they are open now."""
    now = utc_now()
    with invocation.session() as session:
        found = session.store.windows(every=every)
    if as_json:
        print_json({"windows": [window_record(window, now) for window in found]})
        return
    print_table(
        ("window", "when", "where", "open until (UTC)", "by", "why"),
        [(w.window_id, _hours(w), _scope(w), _open_until(w, now), w.created_by, w.reason) for w in found],
        empty="no maintenance windows",
    )


@maintenance.command("remove")
@click.argument("window_id")
@reason_option
@actor_option
@json_option
@pass_invocation
def remove(invocation: Invocation, window_id: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Remove a maintenance window; what waits for its end waits for the end that was.

    WINDOW_ID may be shortened as long as it is unique.
    """
    who = actor or operating_system_user()
    with invocation.session() as session:
        known = [window.window_id for window in session.store.windows()]
        found = chosen(known, window_id, "maintenance window", "dbplanmon maintenance list")
        session.store.remove_window(found, who, reason)
    if as_json:
        print_json({"window_id": found, "removed_by": who})
    else:
        print_line(f"maintenance window {found} removed by {who}")


def _open_until(window: MaintenanceWindow, now: datetime) -> datetime | None:
    return None if window.removed_at else open_until(window, now)


def _hours(window: MaintenanceWindow) -> str:
    days = ",".join(WEEKDAYS[day] for day in sorted(window.weekdays))
    return f"{days} {window.starts:%H:%M}-{window.ends:%H:%M} {window.time_zone}"


def _scope(window: MaintenanceWindow) -> str:
    named = {"instance": window.instance, "database": window.database}
    return ", ".join(f"{name} {value}" for name, value in named.items() if value) or "everything"
