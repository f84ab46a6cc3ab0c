"""Rights of the login, and the statement that gives a missing one."""

from dataclasses import dataclass

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.sqlnames import quote_name
from dbplanmon_pipeline.providers.sqlserver.editions import EngineEdition


@dataclass(frozen=True, slots=True)
class Permissions:
    """One row of `sql/permissions.sql`; None where the server does not know the right or did not answer."""

    view_server_state: bool | None = None
    view_server_performance_state: bool | None = None
    view_database_state: bool | None = None
    view_database_performance_state: bool | None = None
    view_definition: bool | None = None

    @classmethod
    def of_row(cls, row: tuple[object, ...]) -> "Permissions":
        """From 1, 0 or NULL each."""
        return cls(*(None if value is None else bool(value) for value in row))

    @property
    def reads_server(self) -> bool:
        """True where the plan cache and other views of the whole server may be read."""
        return bool(self.view_server_state or self.view_server_performance_state)

    @property
    def reads_database(self) -> bool:
        """True where Query Store of the current database may be read."""
        return bool(self.view_database_state or self.view_database_performance_state)

    @property
    def reads_definitions(self) -> bool:
        """True where the indexes of every table of the current database show."""
        return bool(self.view_definition)

    @property
    def knows_performance_state(self) -> bool:
        """True where the server has the narrower rights that came with 2022."""
        return self.view_server_performance_state is not None or self.view_database_performance_state is not None


def server_grant(edition: EngineEdition, permissions: Permissions, login: str, *, is_rds: bool = False) -> str:
    """The sentence that lets `login` read the views of the server, or of its database where it sees no server.

    The narrower right of 2022 is named for boxes only: in RDS the administrator may pass on the wider one alone.
    """
    name = quoted(login)
    if edition.is_one_database:
        return (
            f"Run GRANT VIEW DATABASE STATE TO {name}; in this database; on the smallest service tiers run "
            f"ALTER SERVER ROLE ##MS_ServerStateReader## ADD MEMBER {name}; in master instead."
        )
    if permissions.knows_performance_state and edition is EngineEdition.BOX and not is_rds:
        return f"Run GRANT VIEW SERVER PERFORMANCE STATE TO {name}; in master."
    return f"Run GRANT VIEW SERVER STATE TO {name}; in master."


def database_grant(edition: EngineEdition, permissions: Permissions, login: str, place: str = "this database") -> str:
    """The sentence that lets `login` read Query Store of the current database; a copy of it takes no grants itself."""
    narrow = permissions.knows_performance_state and not edition.is_one_database
    right = "VIEW DATABASE PERFORMANCE STATE" if narrow else "VIEW DATABASE STATE"
    return f"Run GRANT {right} TO {quoted(login)}; in {place}."


def definition_grant(edition: EngineEdition, login: str, place: str = "this database") -> str:
    """The sentence that lets `login` see the indexes of all tables of the current database, or of every one."""
    name = quoted(login)
    one = f"Run GRANT VIEW DEFINITION TO {name}; in {place}"
    if edition.is_one_database:
        return f"{one}."
    return f"{one}, where it needs a user, or GRANT VIEW ANY DEFINITION TO {name}; in master for all databases."


def quoted(name: str) -> str:
    """`[name]`; a name the server did not tell becomes a place to fill in."""
    return quote_name(name, Engine.SQLSERVER) if name else "[monitoring login]"
