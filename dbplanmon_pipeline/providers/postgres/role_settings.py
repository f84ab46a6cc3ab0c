"""Plans are made under the search path and planner settings of the role that runs the statement, not under ours."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import statement


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """Attributes: `by_role`: settings by role oid, as sessions of that role in this database begin with them.

    `search_path` is always among them, its `$user` replaced by the role; settings nobody changed are not.
    """

    by_role: dict[int, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, session: Session, role_oids: Iterable[int]) -> "RoleSettings":
        """Ask for all roles at once; what counts for role and database goes before role before database.

        Raises:
            ProviderError: the server did not answer.
        """
        wanted = sorted(set(role_oids))
        if not wanted:
            return cls()
        found: dict[int, dict[str, str]] = {}
        names: dict[int, str] = {}
        rows = session.rows(statement("role_settings"), {"role_oids": wanted})
        for role_oid, role_name, default_path, name, value in rows:
            names[role_oid] = role_name
            settings = found.setdefault(role_oid, {"search_path": default_path})
            if name is not None:
                settings[name] = value
        for role_oid, settings in found.items():
            settings["search_path"] = settings["search_path"].replace('"$user"', _quoted(names[role_oid]))
        return cls(found)

    def of(self, role_oid: int) -> dict[str, str]:
        """Settings of one role; empty for a role that is gone."""
        return self.by_role.get(role_oid, {})


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
