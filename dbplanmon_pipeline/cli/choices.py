"""What commands share that let a person choose: who, why, and which one."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import click

actor_option = click.option("--actor", metavar="NAME", help="Who decides; default: the user of the operating system.")
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence; kept in the audit.")


def new_id(kind: str, at: datetime, *parts: str) -> str:
    """12 hex digits for something made at a moment."""
    return hashlib.sha256("\x1f".join((kind, at.isoformat(), *parts)).encode()).hexdigest()[:12]


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
