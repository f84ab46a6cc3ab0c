"""`dbplanmon grants`: the rights the monitor needs, and no others."""

import click

from dbplanmon_pipeline.cli.invocation import json_option
from dbplanmon_pipeline.cli.output import print_json
from dbplanmon_pipeline.providers.sqlserver.grants import LoginKind, ServerKind, sqlserver_grants

_NAME_LIMIT = 63

_POSTGRES = """\
-- Rights of {user} on PostgreSQL 15 and newer. It reads statistics and plans, and changes nothing.
-- Run it as a superuser with psql, in every database that is to be watched: psql -d DATABASE -f grants.sql
-- Once per server before that: shared_preload_libraries must hold pg_stat_statements (needs a restart).

-- The role, once per server. Set its password with \\password afterwards, so that it stands in no file.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal}) THEN
    CREATE ROLE {user} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
  END IF;
END $$;
ALTER ROLE {user} SET default_transaction_read_only = on;
-- Its own questions take no place among the statements it watches.
ALTER ROLE {user} SET pg_stat_statements.track = 'none';

-- Statistics and texts of the statements of every role; no rows of any table.
GRANT pg_monitor TO {user};

-- This database.
DO $$ BEGIN
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {literal});
END $$;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

-- Plans: EXPLAIN wants the right to read each table it plans over, though it reads no row. Without it figures are
-- recorded and slow statements found, but nobody can say what changed in a plan. Give this, or SELECT on single tables.
{plans}GRANT pg_read_all_data TO {user};
"""


@click.command()
@click.option("--engine", type=click.Choice(["postgres", "sqlserver"]), default="postgres", show_default=True)
@click.option("--user", default="dbplanmon", show_default=True, help="Role or login the monitor connects as.")
@click.option(
    "--plans", is_flag=True, help="postgres: give the right that plans need, too; otherwise it stands as a comment."
)
@click.option(
    "--edition",
    type=click.Choice([kind.value for kind in ServerKind]),
    help="sqlserver: where it runs; box by default.",
)
@click.option("--version", "release", help="sqlserver: release of a box, such as 2019; 2022 by default.")
@click.option(
    "--login", type=click.Choice([kind.value for kind in LoginKind]), help="sqlserver: kind of login; sql by default."
)
@click.option("--database", "databases", multiple=True, help="sqlserver: only this database; repeat for more.")
@json_option
def grants(
    engine: str,
    user: str,
    plans: bool,
    edition: str | None,
    release: str | None,
    login: str | None,
    databases: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print the script that gives the monitor its rights on a server."""
    if engine == "postgres":
        _refuse("sqlserver", edition=edition, version=release, login=login, database=databases)
        script = _postgres_script(user, plans=plans)
    else:
        _refuse("postgres", plans=plans)
        script = _sqlserver_script(user, edition, release, login, databases)
    if as_json:
        print_json({"engine": engine, "user": user, "script": script})
    else:
        click.echo(script, nl=False)


def _refuse(engine: str, **given: object) -> None:
    """An option without effect would let its user believe in a right that the script does not give."""
    for option, value in given.items():
        if value:
            raise click.BadParameter(f"this is for --engine {engine}", param_hint=f"--{option}")


def _postgres_script(user: str, *, plans: bool) -> str:
    if not user or not user.isprintable() or len(user.encode()) > _NAME_LIMIT:
        raise click.BadParameter(f"a role name has 1 to {_NAME_LIMIT} printable bytes", param_hint="--user")
    return postgres_grants(user, plans=plans)


def _sqlserver_script(
    user: str, edition: str | None, release: str | None, login: str | None, databases: tuple[str, ...]
) -> str:
    try:
        return sqlserver_grants(
            user,
            kind=ServerKind(edition or ServerKind.BOX),
            release=release or "2022",
            login=LoginKind(login or LoginKind.SQL),
            databases=databases,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def postgres_grants(user: str, *, plans: bool) -> str:
    """The script for PostgreSQL; without `plans` that right stays a comment."""
    literal = "'" + user.replace("'", "''") + "'"
    # `$$` would end the quoting of the DO blocks early, a backslash means nothing in either quoting.
    if "$" in user:
        raise click.BadParameter("a role name with $ is not supported", param_hint="--user")
    identifier = '"' + user.replace('"', '""') + '"'
    return _POSTGRES.format(user=identifier, literal=literal, plans="" if plans else "-- ")
