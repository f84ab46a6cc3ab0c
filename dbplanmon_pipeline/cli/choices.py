"""What commands share that let a person choose: who, why, and which one."""

import hashlib
import sys
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from dbplanmon_pipeline.core.fleet import WHOLE_INSTANCE

if TYPE_CHECKING:
    from dbplanmon_pipeline.composition import Session

_NAMES_SHOWN = 8

actor_option = click.option("--actor", metavar="NAME", help="Who decides; default: the user of the operating system.")
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence; kept in the audit.")


def confirm(question: str) -> None:
    """Ask whoever sits at the terminal.

    Raises:
        ClickException: the answer is no, or nobody is there to give one.
        Abort: Ctrl-C at the terminal.
    """
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)
        raise click.ClickException("nobody can answer here; give --yes to go on without asking") from None
    if not agreed:
        raise click.ClickException("nothing was done")


def new_id(kind: str, at: datetime, *parts: str) -> str:
    """12 hex digits for something made at a moment."""
    return hashlib.sha256("\x1f".join((kind, at.isoformat(), *parts)).encode()).hexdigest()[:12]


def known_place(session: "Session", instance: str, database: str) -> None:
    """Refuse a name that fits nothing, since a rule of that name would do nothing and nobody would notice.

    Raises:
        ClickException: no instance of the settings or the store, or no database of it, is called so.
    """
    from dbplanmon_pipeline.composition.providers import named_databases  # noqa: PLC0415 - see `Invocation.session`

    named = named_databases(session.settings, session.providers)
    refs = {*named, *(state.ref for state in session.store.database_states())}
    instances = {one.name for one in session.settings.instances} | {ref.instance for ref in refs}
    databases = {ref.database for ref in refs if instance in ("", ref.instance)} - {WHOLE_INSTANCE}
    if instance and instance not in instances:
        raise click.ClickException(f"no instance is called {instance!r}; there are: {_few(instances)}")
    if database and database not in databases:
        raise click.ClickException(f"no database is called {database!r}; there are: {_few(databases)}")


def _few(names: Collection[str]) -> str:
    shown = sorted(names)[:_NAMES_SHOWN]
    more = len(names) - len(shown)
    return (", ".join(shown) + (f" and {more} more" if more else "")) or "none"


def chosen(known: Sequence[str], wanted: str, what: str, listing: str) -> str:
    """The one id that is `wanted` or begins so.

    Raises:
        ClickException: there is none, or more than one.
    """
    found = [one for one in known if one == wanted] or [one for one in known if wanted and one.startswith(wanted)]
    if not found:
        raise click.ClickException(f"no {what} {wanted!r}; see {listing}")
    if len(found) > 1:
        raise click.ClickException(f"{wanted!r} is the start of {len(found)} ids; give more of it")
    return found[0]
