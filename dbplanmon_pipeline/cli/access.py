"""`dbplanmon access`: tokens for the status page and its API."""

from datetime import datetime, timedelta

import click

from dbplanmon_pipeline.cli.choices import actor_option, reason_option
from dbplanmon_pipeline.cli.invocation import (
    Invocation,
    json_option,
    operating_system_user,
    pass_invocation,
    read_span,
    utc_now,
)
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.ports.access import AccessToken, Role
from dbplanmon_pipeline.services.grant_access import issue_token, revoke_token


@click.group()
def access() -> None:
    """Give, list and take back tokens; people log in with one, programs send it with every request."""


@access.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([Role.VIEWER.value, Role.OPERATOR.value]),
    default=Role.VIEWER.value,
    show_default=True,
    help="A viewer looks; an operator also decides about incidents and mutes.",
)
@click.option(
    "--expires", metavar="SPAN", callback=read_span, help="Such as 90d; without it the token holds until it is revoked."
)
@actor_option
@json_option
@pass_invocation
def add(
    invocation: Invocation, name: str, role: str, expires: timedelta | None, actor: str | None, as_json: bool
) -> None:
    """Make a token for NAME, under which it stands in the audit. It is printed once and stored nowhere."""
    who = actor or operating_system_user()
    with invocation.session() as session:
        issued = issue_token(session.store, name, Role(role), actor=who, now=utc_now(), lasting=expires)
    if as_json:
        print_json(_record(issued.token, utc_now()) | {"token": issued.secret})
        return
    print_line(issued.secret)
    until = f"until {issued.token.expires_at:%Y-%m-%d %H:%M} UTC" if issued.token.expires_at else "until it is revoked"
    click.echo(f"{name} is {role} with this token {until}; it is not shown again", err=True)


@access.command("list")
@click.option("--all", "every", is_flag=True, help="Expired and revoked ones, too.")
@json_option
@pass_invocation
def list_tokens(invocation: Invocation, every: bool, as_json: bool) -> None:
    """List tokens in force, the oldest first."""
    now = utc_now()
    with invocation.session() as session:
        found = [token for token in session.store.tokens() if every or token.is_in_force(now)]
    if as_json:
        print_json({"tokens": [_record(token, now) for token in found]})
        return
    print_table(
        ("name", "role", "state", "expires (UTC)", "last used", "made (UTC)", "by"),
        [
            (
                token.name,
                token.role.value,
                _state(token, now),
                token.expires_at or "never",
                str(token.last_used_on or "never"),
                token.created_at,
                token.created_by,
            )
            for token in found
        ],
        empty="no tokens; strangers may look unless `web.anonymous` is nobody, and nobody may act",
    )


@access.command("revoke")
@click.argument("name")
@reason_option
@actor_option
@json_option
@pass_invocation
def revoke(invocation: Invocation, name: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Take the token of NAME back; whoever logged in with it is out at once."""
    who = actor or operating_system_user()
    with invocation.session() as session:
        revoke_token(session.store, name, actor=who, reason=reason)
    if as_json:
        print_json({"name": name, "revoked_by": who})
    else:
        print_line(f"the token of {name} was revoked by {who}")


def _state(token: AccessToken, now: datetime) -> str:
    if token.revoked_at:
        return "revoked"
    return "in force" if token.is_in_force(now) else "expired"


def _record(token: AccessToken, now: datetime) -> dict[str, object]:
    return {
        "name": token.name,
        "role": token.role.value,
        "state": _state(token, now),
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_on": token.last_used_on,
    }
