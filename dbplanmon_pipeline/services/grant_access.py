"""Tokens and logins of the status page: make, check, take back.

A token is 256 random bits, so its plain SHA-256 tells nothing about it: there is nothing to guess, and a slow password
hash would only make each request slow. The store is asked by the beginning of the digest, and the whole of it is then
compared in constant time.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.ports.access import AccessStore, AccessToken, Role
from dbplanmon_pipeline.errors import DbPlanMonError

PREFIX = "dbpm_"
"""Begins every token, so that programs that look for secrets find one in a repository or a log."""

_BYTES = 32
_TOKEN = re.compile(rf"{PREFIX}[0-9a-f]{{{2 * _BYTES}}}")
_NAME = re.compile(r"[\w][\w.@+ -]{0,63}")
_RESERVED = frozenset({"anonymous"})


class AccessRefused(DbPlanMonError):
    """A token cannot be made or taken back as asked."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token; the only place where it stands in clear."""

    token: AccessToken
    secret: str


def issue_token(
    store: AccessStore,
    name: str,
    role: Role,
    *,
    actor: str,
    now: datetime,
    lasting: timedelta | None = None,
) -> Issued:
    """Make a token.

    Raises:
        AccessRefused: the name is none, or a token in force has it.
    """
    if not _NAME.fullmatch(name) or name != name.strip() or name.casefold() in _RESERVED:
        raise AccessRefused(f"{name!r} is no name for a token; take letters, digits and . @ + - _, at most 64")
    secret = PREFIX + secrets.token_hex(_BYTES)
    digest = _digest(secret)
    token = AccessToken(_id(digest), name, role, now, actor, now + lasting if lasting else None)
    if not store.add_token(token, digest):
        raise AccessRefused(f"a token {name!r} is in force; revoke it first or choose another name")
    return Issued(token, secret)


def revoke_token(store: AccessStore, name: str, *, actor: str, reason: str = "") -> None:
    """Take a token back; whoever logged in with it is out at once.

    Raises:
        AccessRefused: no token in force has this name.
    """
    if not store.revoke_token(name, actor, reason):
        raise AccessRefused(f"no token {name!r} is in force; see dbplanmon access list")


def token_of(store: AccessStore, secret: str, now: datetime) -> AccessToken | None:
    """The token in force behind a secret; None for anything else. Its use today is remembered."""
    if not _TOKEN.fullmatch(secret):
        return None
    digest = _digest(secret)
    found = store.token(_id(digest))
    if found is None or not hmac.compare_digest(found[1], digest) or not found[0].is_in_force(now):
        return None
    _note_use(store, found[0], now)
    return found[0]


def log_in(store: AccessStore, token: AccessToken, now: datetime, lasting: timedelta) -> str:
    """A new secret for the cookie of somebody who showed this token; ends no later than the token."""
    secret = secrets.token_hex(_BYTES)
    digest = _digest(secret)
    store.add_login(_id(digest), digest, token.token_id, min(now + lasting, token.expires_at or now + lasting))
    return secret


def token_of_login(store: AccessStore, secret: str, now: datetime) -> AccessToken | None:
    """The token somebody has logged in with; None where the login or the token has ended."""
    digest = _digest(secret)
    found = store.login(_id(digest))
    if found is None or not hmac.compare_digest(found[1], digest) or now >= found[2]:
        return None
    if not found[0].is_in_force(now):
        return None
    _note_use(store, found[0], now)
    return found[0]


def log_out(store: AccessStore, secret: str) -> None:
    """End a login."""
    store.end_login(_id(_digest(secret)))


def _note_use(store: AccessStore, token: AccessToken, now: datetime) -> None:
    if token.last_used_on != now.date():
        store.note_token_use(token.token_id, now.date())


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _id(digest: bytes) -> str:
    return digest.hex()[:16]
