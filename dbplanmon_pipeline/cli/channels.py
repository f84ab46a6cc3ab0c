"""`dbplanmon channels`: where people are told, whether that works, and what never arrived."""

import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dbplanmon_pipeline.cli.invocation import (
    Invocation,
    json_option,
    operating_system_user,
    pass_invocation,
    read_span,
    utc_now,
)
from dbplanmon_pipeline.cli.output import Cell, print_json, print_line, print_table
from dbplanmon_pipeline.core.plain_words import moment_words
from dbplanmon_pipeline.core.ports import Alert, Channel, DeadAlert, JobState
from dbplanmon_pipeline.core.records import alert_record

if TYPE_CHECKING:
    from dbplanmon_pipeline.composition import Session
    from dbplanmon_pipeline.settings import ChannelSettings

channel_option = click.option("--channel", metavar="NAME", help="Only those of this channel.")
since_option = click.option(
    "--since", metavar="DURATION", callback=read_span, help="Only those given up within, such as 7d."
)


@click.group()
def channels() -> None:
    """List and test channels; show and send again what was given up."""


@channels.command("list")
@json_option
@pass_invocation
def list_channels(invocation: Invocation, as_json: bool) -> None:
    """List the channels of the settings, whether they work, and what waits for them."""
    with invocation.session() as session:
        records = _records(session)
    if as_json:
        print_json({"channels": records})
        return
    columns = ("name", "type", "enabled", "minimum_severity", "state", "pending", "delivered", "given_up")
    rows: list[tuple[Cell, ...]] = [tuple(_cell(record[name]) for name in columns) for record in records]
    print_table(columns, rows, empty="no channels")


def _records(session: "Session") -> list[dict[str, object]]:
    from dbplanmon_pipeline.composition.channels import enabled_channels  # noqa: PLC0415 - see `Invocation.session`

    enabled = enabled_channels(session.settings)
    every = [*enabled, *(channel for channel in session.settings.alerts.channels if channel not in enabled)]
    counts = session.store.alert_counts()
    states = session.store.job_states([f"channel:{channel.name}" for channel in every])
    return [
        {
            **_settings_of(channel, is_enabled=channel in enabled),
            **_state_of(states[f"channel:{channel.name}"], session),
            **{state: counts.get((channel.name, state), 0) for state in ("pending", "delivered", "given_up")},
        }
        for channel in every
    ]


def _settings_of(channel: "ChannelSettings", *, is_enabled: bool) -> dict[str, object]:
    return {
        "name": channel.name,
        "type": channel.type,
        "enabled": is_enabled,
        "minimum_severity": channel.minimum_severity,
        "events": channel.events,
    }


def _state_of(state: JobState, session: "Session") -> dict[str, object]:
    from dbplanmon_pipeline.core.breaker import is_open  # noqa: PLC0415 - beside its only use

    word = "works" if state.last_success_at else "never used"
    if state.consecutive_failures:
        word = "rests" if is_open(state, utc_now(), session.breaker) else "fails"
    return {
        "state": word,
        "failures_in_a_row": state.consecutive_failures,
        "last_success_at": state.last_success_at,
        "next_attempt_at": state.next_attempt_at,
        "last_error": state.detail,
    }


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, int) else str(value)


@channels.command("test")
@click.argument("name", required=False)
@json_option
@pass_invocation
@click.pass_context
def try_channels(ctx: click.Context, invocation: Invocation, name: str | None, as_json: bool) -> None:
    """Send one test message through channel NAME, or through every enabled one; exits with 1 when one fails."""
    from dbplanmon_pipeline.composition.channels import (  # noqa: PLC0415 - see `Invocation.session`
        build_channel_list,
        one_channel,
    )

    settings = invocation.settings()
    chosen = [one_channel(settings, name)] if name else build_channel_list(settings)
    results = [_try(channel) for channel in chosen]
    if as_json:
        print_json({"results": results})
    else:
        for result in results:
            said = result["error"] or f"took the message in {result['duration_ms']} ms"
            print_line(str(said) if result["error"] else f"{result['channel']}: {said}")
    if not all(result["succeeded"] for result in results):
        ctx.exit(1)


def _try(channel: Channel) -> dict[str, object]:
    from dbplanmon_pipeline.services.send_alert import failure_of_sending  # noqa: PLC0415 - beside its only use

    began = time.monotonic()
    failure = failure_of_sending(channel, _test_message(channel.name))
    return {
        "channel": channel.name,
        "succeeded": failure is None,
        "error": failure.message if failure else "",
        "duration_ms": round((time.monotonic() - began) * 1_000),
    }


def _test_message(channel: str) -> Alert:
    return Alert(
        alert_id=secrets.token_hex(16),
        incident_id="test",
        event="test",
        channel=channel,
        severity="low",
        created_at=utc_now(),
        subject="[test] dbplanmon can reach you here",
        body=f"This is a test of the channel {channel}, asked for by {operating_system_user()}.\n\nNothing is wrong.\n",
    )


@channels.command("dead")
@channel_option
@since_option
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@json_option
@pass_invocation
def dead(invocation: Invocation, channel: str | None, since: timedelta | None, limit: int, as_json: bool) -> None:
    """List messages that were given up, the last one first, with the last reason."""
    with invocation.session() as session:
        found = session.store.dead_alerts(channel=channel, since=utc_now() - since if since else None, limit=limit)
    if as_json:
        print_json({"dead": [_dead_record(item) for item in found]})
        return
    print_table(
        ("given up (UTC)", "channel", "attempts", "subject", "reason"),
        [(item.ended_at, item.alert.channel, item.attempts, item.alert.subject, item.reason) for item in found],
        empty="nothing was given up",
    )


def _dead_record(item: DeadAlert) -> dict[str, object]:
    return {
        **alert_record(item.alert),
        "ended_at": item.ended_at,
        "attempts": item.attempts,
        "reason": item.reason,
    }


@channels.command("replay")
@channel_option
@since_option
@json_option
@pass_invocation
def replay(invocation: Invocation, channel: str | None, since: timedelta | None, as_json: bool) -> None:
    """Queue messages that were given up once more, with the same idempotency key; the next pass sends them."""
    at = utc_now()
    with invocation.session() as session:
        count = session.store.replay_alerts(at, channel=channel, since=at - since if since else None)
        detail = {"count": count, "since": (at - since).isoformat() if since else None}
        session.store.append_audit(operating_system_user(), "replay_alerts", f"channel:{channel or '*'}", detail)
    if as_json:
        print_json({"channel": channel, "replayed": count})
    else:
        print_line(f"{count:,} messages are queued again as of {moment_words(at)}")
