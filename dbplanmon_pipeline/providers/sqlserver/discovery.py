"""Which databases there are to watch on an instance."""

from dbplanmon_pipeline.providers.sqlserver.editions import EngineEdition
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement

HOME = "master"
"""Where to connect to ask; every login may enter it."""


def find_databases(session: Session) -> list[str]:
    """Names of the databases of users that are online and open to this login, in order.

    Args:
        session: connected to `HOME`; on Azure SQL Database elsewhere only that one database shows.

    Raises:
        ProviderError: the server did not answer.
    """
    engine_number = session.rows(statement("server"))[0][2]
    one_database = EngineEdition.of(int(engine_number or 0)).is_one_database
    return [str(name) for (name,) in session.rows(statement("databases_azure" if one_database else "databases"))]
