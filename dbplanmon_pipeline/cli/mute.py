"""`dbplanmon mute`: whose messages nobody wants, for how long and why."""

from datetime import datetime

import click

from dbplanmon_pipeline.cli.choices import actor_option, chosen, known_place, reason_option
from dbplanmon_pipeline.cli.invocation import (
    Invocation,
    json_option,
    operating_system_user,
    pass_invocation,
    utc_now,
)
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.model import Label, hash_int, hash_text
from dbplanmon_pipeline.core.ports.alert_rules import MuteRule
from dbplanmon_pipeline.core.records_of_people import mute_record
from dbplanmon_pipeline.services.mute_alerts import SPANS, MuteScope, mute_alerts


@click.group()
def mute() -> None:
    """Add, list and remove mute rules; muted messages are kept and counted."""


@mute.command("add")
@click.option("--instance", default="", metavar="NAME", help="Only alerts of this instance.")
@click.option("--database", default="", metavar="NAME", help="Only alerts of databases of this name.")
@click.option("--query", "query", default="", metavar="HASH", help="Only alerts of this statement.")
@click.option("--label", type=click.Choice([label.value for label in Label]), help="Only alerts of this kind.")
@click.option("--text", default="", metavar="WORDS", help="Only alerts whose statement contains this.")
@click.option(
    "--for",
    "span",
    type=click.Choice(list(SPANS)),
    default="24h",
    show_default=True,
    help="When the rule expires.",
)
@reason_option
@actor_option
@json_option
@pass_invocation
def add(
    invocation: Invocation,
    instance: str,
    database: str,
    query: str,
    label: str | None,
    text: str,
    span: str,
    reason: str,
    actor: str | None,
    as_json: bool,
) -> None:
    """Mute alerts to which everything applies that is given; at least one thing must be."""
    if not (instance or database or query or label or text):
        raise click.UsageError("name what to mute: --instance, --database, --query, --label or --text")
    scope = MuteScope(instance, database, _hash(query), label or "", text)
    with invocation.session() as session:
        known_place(session, instance, database)
        rule = mute_alerts(
            session.store, scope, span=span, actor=actor or operating_system_user(), at=utc_now(), reason=reason
        )
    if as_json:
        print_json(mute_record(rule))
    else:
        until = f"until {rule.expires_at:%Y-%m-%d %H:%M} UTC" if rule.expires_at else "until it is removed"
        print_line(f"mute rule {rule.mute_id} holds {until}: {_scope(rule)}")


def _hash(text: str) -> int:
    try:
        return hash_int(text)
    except ValueError:
        words = f"{text!r} is no hash of 16 hex digits; copy it from dbplanmon incidents list"
        raise click.BadParameter(words, param_hint="--query") from None


@mute.command("list")
@click.option("--all", "every", is_flag=True, help="Expired and removed ones, too.")
@json_option
@pass_invocation
def list_mutes(invocation: Invocation, every: bool, as_json: bool) -> None:
    """List mute rules in force, the oldest first."""
    with invocation.session() as session:
        found = session.store.mutes(at=None if every else utc_now())
    if as_json:
        print_json({"mutes": [mute_record(rule) for rule in found]})
        return
    print_table(
        ("rule", "what", "expires (UTC)", "by", "why"),
        [(rule.mute_id, _scope(rule), _end(rule), rule.created_by, rule.reason) for rule in found],
        empty="no mute rules",
    )


@mute.command("remove")
@click.argument("mute_id")
@reason_option
@actor_option
@json_option
@pass_invocation
def remove(invocation: Invocation, mute_id: str, reason: str, actor: str | None, as_json: bool) -> None:
    """End a mute rule; MUTE_ID may be shortened as long as it is unique."""
    who = actor or operating_system_user()
    with invocation.session() as session:
        known = [rule.mute_id for rule in session.store.mutes(at=utc_now())]
        found = chosen(known, mute_id, "mute rule", "dbplanmon mute list")
        session.store.remove_mute(found, who, reason)
    if as_json:
        print_json({"mute_id": found, "removed_by": who})
    else:
        print_line(f"mute rule {found} removed by {who}")


def _end(rule: MuteRule) -> datetime | str:
    if rule.removed_at:
        return f"removed {rule.removed_at:%Y-%m-%d %H:%M}"
    return rule.expires_at or "never"


def _scope(rule: MuteRule) -> str:
    named = {
        "instance": rule.instance,
        "database": rule.database,
        "query": hash_text(rule.query_hash),
        "label": rule.label,
        "text": rule.text,
    }
    return ", ".join(f"{name} {value}" for name, value in named.items() if value) or "everything"
