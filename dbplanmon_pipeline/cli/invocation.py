"""What every command shares: the settings file of this call, the monitor behind it, and the option `--json`."""

import getpass
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbplanmon_pipeline.logs import JOBS_LOGGER, configure_logging

if TYPE_CHECKING:
    from dbplanmon_pipeline.composition import Session
    from dbplanmon_pipeline.settings import Settings


_LONGEST_SPAN = timedelta(days=365 * 100)
"""Years count to 9999, and moments are made from spans."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """The global options of one call."""

    config: Path | None = None
    verbose: int = 0

    def settings(self) -> "Settings":
        """Load the settings.

        Raises:
            SettingsError: one line per problem.
        """
        from dbplanmon_pipeline.settings import load_settings  # noqa: PLC0415 - `--help` must not pay for pydantic

        settings = load_settings(self.config)
        self.log_as(settings, service=False)
        return settings

    def log_as(self, settings: "Settings", *, service: bool) -> None:
        """Log in the form and from the level the settings say; `-v` goes before them.

        Args:
            settings: as loaded.
            service: it goes on running, and somebody keeps what it writes.
        """
        chosen, unwatched = settings.logging, service and not sys.stderr.isatty()
        usual = "INFO" if unwatched else "WARNING"
        level = ("INFO", "DEBUG")[min(self.verbose, 2) - 1] if self.verbose else (chosen.level or usual)
        as_json = chosen.format == "json" or (chosen.format == "auto" and unwatched)
        configure_logging(json=as_json, level=level)
        # A command tells by itself what it did and what went wrong; whoever asks for the log gets both.
        silent = not service and not self.verbose and chosen.level is None
        logging.getLogger(JOBS_LOGGER).setLevel(logging.CRITICAL if silent else logging.NOTSET)

    @contextmanager
    def session(self, *, upgrade: bool = True, needs_store: bool = True) -> "Iterator[Session]":
        """The use cases on open adapters; `needs_store` as for `Monitor.session`."""
        from dbplanmon_pipeline.composition import Monitor  # noqa: PLC0415 - pandas, SQLAlchemy and drivers: 1 s

        with Monitor(self.settings()).session(upgrade=upgrade, needs_store=needs_store) as session:
            yield session


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def operating_system_user() -> str:
    """Who runs this process, `unknown` where the system has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def read_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Callback of an option that takes an ISO 8601 moment; without an offset it means UTC."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no moment; write 2026-01-31T14:05 or 2026-01-31T14:05:00+02:00", ctx, param
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_past_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """As `read_moment`, but nothing is known of a moment that lies ahead."""
    moment = read_moment(ctx, param, value)
    if moment is not None and moment > utc_now():
        raise click.BadParameter(f"{value!r} lies ahead; give a moment that has passed", ctx, param)
    return moment


def read_day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    """Callback of an option that takes a UTC day."""
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no day; write YYYY-MM-DD", ctx, param) from None


def read_span(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """Callback of an option that takes a duration such as 30m, 1h or 7d."""
    from dbplanmon_pipeline.settings.values import parse_duration  # noqa: PLC0415 - see `Invocation.settings`

    if value is None:
        return None
    try:
        span = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}", ctx, param) from None
    if not span:
        raise click.BadParameter(f"{value!r} must be longer than nothing", ctx, param)
    if span > _LONGEST_SPAN:
        raise click.BadParameter(f"{value!r} is too long; at most {_LONGEST_SPAN.days // 365}y", ctx, param)
    return span


as_of_option = click.option(
    "--as-of",
    metavar="ISO",
    callback=read_past_moment,
    help="Look at it as of this moment; UTC unless it has an offset.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; its keys are stable.")
pass_invocation = click.make_pass_decorator(Invocation, ensure=True)
