"""Who may use the status page, and what of that is stored: tokens and the logins made with them, never in clear."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """What somebody may do; each role may do what those before it may."""

    NOBODY = "nobody"
    VIEWER = "viewer"
    OPERATOR = "operator"

    def covers(self, needed: "Role") -> bool:
        """True where this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What is known of a token without the token.

    Attributes:
        token_id: beginning of its digest [16 hex digits].
        name: who uses it; stands in the audit, and only one token in force has it.
        expires_at: None for never.
        revoked_at: set when somebody took it back.
        last_used_on: UTC day; None before its first use.
    """

    token_id: str
    name: str
    role: Role
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_on: date | None = None

    def is_in_force(self, at: datetime) -> bool:
        """True where it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class AccessStore(Protocol):
    """Tokens and logins; digests only."""

    def add_token(self, token: AccessToken, digest: bytes) -> bool:
        """Store a token, with an entry in the audit; false where one in force has the name."""
        ...

    def tokens(self) -> list[AccessToken]:
        """All tokens ever made, the oldest first."""
        ...

    def token(self, token_id: str) -> tuple[AccessToken, bytes] | None:
        """A token and its digest."""
        ...

    def revoke_token(self, name: str, actor: str, reason: str) -> bool:
        """End the token in force and its logins, with an entry in the audit; false where there is none."""
        ...

    def note_token_use(self, token_id: str, day: date) -> None:
        """Remember the day of the last use."""
        ...

    def add_login(self, login_id: str, digest: bytes, token_id: str, expires_at: datetime) -> None:
        """Store a login, and forget those that have expired."""
        ...

    def login(self, login_id: str) -> tuple[AccessToken, bytes, datetime] | None:
        """Token, digest and end of a login; None where there is none."""
        ...

    def end_login(self, login_id: str) -> None:
        """Forget a login."""
        ...
