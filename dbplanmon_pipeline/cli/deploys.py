"""`dbplanmon mark-deploy` and `dbplanmon deploys`: what was rolled out, so that incidents can name it."""

from datetime import datetime, timedelta

import click

from dbplanmon_pipeline.cli.choices import actor_option, reason_option
from dbplanmon_pipeline.cli.invocation import (
    Invocation,
    json_option,
    operating_system_user,
    pass_invocation,
    read_moment,
    read_span,
    utc_now,
)
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.causes.deployments import Deployment
from dbplanmon_pipeline.core.records import deployment_record
from dbplanmon_pipeline.services.mark_deployment import mark_deployment, take_back_deployment

LISTED_FOR = timedelta(days=30)


@click.command("mark-deploy")
@click.argument("name")
@click.option("--instance", default="", metavar="NAME", help="Where; default: every instance.")
@click.option("--database", default="", metavar="NAME", help="Only databases of this name.")
@click.option("--at", metavar="ISO", callback=read_moment, help="When; default: now. UTC unless it has an offset.")
@click.option("--note", default="", metavar="TEXT", help="Anything worth knowing.")
@actor_option
@json_option
@pass_invocation
def mark_deploy(
    invocation: Invocation,
    name: str,
    instance: str,
    database: str,
    at: datetime | None,
    note: str,
    actor: str | None,
    as_json: bool,
) -> None:
    """Mark that NAME was rolled out; incidents of the day after name it among what may have caused them."""
    with invocation.session() as session:
        marker = mark_deployment(
            session.store,
            name,
            instances={one.name for one in session.settings.instances},
            instance=instance,
            database=database,
            deployed_at=at,
            note=note,
            now=utc_now(),
            actor=actor or operating_system_user(),
        )
    if as_json:
        print_json(deployment_record(marker))
    else:
        place = _place(marker)
        print_line(f"deployment {marker.name} to {place} is marked for {marker.deployed_at:%Y-%m-%d %H:%M} UTC")


@click.group()
def deploys() -> None:
    """List deployments that were marked, and take back what was marked by mistake."""


@deploys.command("list")
@click.option("--since", metavar="DURATION", callback=read_span, help="Only those of so long; default: 30d.")
@json_option
@pass_invocation
def list_deploys(invocation: Invocation, since: timedelta | None, as_json: bool) -> None:
    """List deployments, the last first."""
    now = utc_now()
    with invocation.session() as session:
        found = session.store.deployments(now - (since or LISTED_FOR), now + timedelta(days=1))[::-1]
    if as_json:
        print_json({"deployments": [deployment_record(one) for one in found]})
        return
    print_table(
        ("at (UTC)", "id", "name", "where", "by", "note"),
        [(one.deployed_at, one.deployment_id, one.name, _place(one), one.created_by, one.note) for one in found],
        empty="no deployments",
    )


@deploys.command("remove")
@click.argument("marker", metavar="ID|NAME")
@reason_option
@actor_option
@json_option
@pass_invocation
def remove(invocation: Invocation, marker: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Take back a deployment that was marked by mistake; a name will do where only one has it."""
    who = actor or operating_system_user()
    with invocation.session() as session:
        removed = take_back_deployment(session.store, marker, actor=who, reason=reason)
    if as_json:
        print_json({**deployment_record(removed), "removed_by": who})
    else:
        at = f"{removed.deployed_at:%Y-%m-%d %H:%M} UTC"
        print_line(f"deployment {removed.name} to {_place(removed)}, marked for {at}, was taken back by {who}")


def _place(marker: Deployment) -> str:
    place = marker.instance or "every instance"
    return f"{place}/{marker.database}" if marker.database else place
