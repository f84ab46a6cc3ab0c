"""Who asks, and what they may do."""

from dataclasses import dataclass

from starlette.requests import Request

from dbplanmon_pipeline.core.ports.access import Role

__all__ = ["ANONYMOUS", "Role", "User", "user_of"]

ANONYMOUS = "anonymous"


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


def user_of(request: Request) -> User:
    """Who sent this request; nobody where nothing found it out."""
    user: User = getattr(request.state, "user", User(ANONYMOUS, Role.NOBODY))
    return user
