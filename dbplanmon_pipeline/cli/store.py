"""`dbplanmon store`: care of our own data."""

from datetime import date

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, read_day, utc_now
from dbplanmon_pipeline.cli.output import print_fields, print_json, print_line
from dbplanmon_pipeline.core.ports import SchemaStatus


@click.group()
def store() -> None:
    """Upgrade, check, export and purge the store."""


@store.command("upgrade")
@json_option
@pass_invocation
def upgrade(invocation: Invocation, as_json: bool) -> None:
    """Create the tables, or bring them to this program's version; safe to repeat."""
    with invocation.session(upgrade=False) as session:
        before = session.store.schema_status()
        after = session.store.upgrade()
    if as_json:
        print_json({**_facts(after), "previous_revision": before.revision})
    elif before.is_current:
        print_line(f"{after.url}: schema {after.revision}, nothing to do")
    else:
        print_line(f"{after.url}: schema {before.revision or 'none'} -> {after.revision}")


@store.command("check")
@json_option
@pass_invocation
@click.pass_context
def check(ctx: click.Context, invocation: Invocation, as_json: bool) -> None:
    """Say which schema the store has; exits with 1 when it needs an upgrade."""
    with invocation.session(upgrade=False) as session:
        status = session.store.schema_status()
    if as_json:
        print_json(_facts(status))
    else:
        print_fields(
            [
                ("store", status.url),
                ("schema", status.revision or "none"),
                ("expected", status.expected),
                ("missing tables", ", ".join(status.missing_tables) if status.revision else "all"),
                ("to do", "" if status.is_current else "run dbplanmon store upgrade"),
            ][: 3 if status.is_current else 5]
        )
    if not status.is_current:
        ctx.exit(1)


def _facts(status: SchemaStatus) -> dict[str, object]:
    return {
        "url": status.url,
        "revision": status.revision,
        "expected": status.expected,
        "missing_tables": status.missing_tables,
        "current": status.is_current,
    }


@store.command("export")
@click.argument("table")
@click.argument("path", type=click.Path(dir_okay=False))
@json_option
@pass_invocation
def export(invocation: Invocation, table: str, path: str, as_json: bool) -> None:
    """Write TABLE to PATH, which ends in .parquet or .csv; `interval_metric` has sealed days, too."""
    with invocation.session(upgrade=False) as session:
        rows = session.store.export(table, path)
    if as_json:
        print_json({"table": table, "path": path, "rows": rows})
    else:
        print_line(f"{rows:,} rows of {table} written to {path}")


@store.command("purge")
@click.option("--before", required=True, metavar="DAY", callback=read_day, help="First UTC day that stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_invocation
def purge(invocation: Invocation, before: date, yes: bool, as_json: bool) -> None:
    """Remove interval metrics of all days before DAY, hot and sealed; hourly totals and incidents stay."""
    if before > utc_now().date():
        raise click.BadParameter("must not lie in the future", param_hint="--before")
    if not yes:
        click.confirm(f"Remove all interval metrics before {before}?", abort=True, err=True)
    with invocation.session(upgrade=False) as session:
        hot = session.store.drop_hot_days(before)
        sealed = session.store.drop_sealed_days(before)
    if as_json:
        print_json({"before": before, "hot_days": hot, "sealed_days": sealed})
    else:
        print_line(f"{len(hot)} hot and {len(sealed)} sealed days before {before} removed")
