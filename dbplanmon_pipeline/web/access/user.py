"""Who asks, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request


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
class User:
    """Who asks.

    Attributes:
        name: as it stands in the audit; `anonymous` for somebody unknown.
        role: what they may do.
    """

    name: str
    role: Role

    @property
    def is_anonymous(self) -> bool:
        """True for somebody who has not logged in."""
        return self.name == ANONYMOUS


ANONYMOUS = "anonymous"


def user_of(request: Request) -> User:
    """Who sent this request; nobody where nothing found it out."""
    user: User = getattr(request.state, "user", User(ANONYMOUS, Role.NOBODY))
    return user
