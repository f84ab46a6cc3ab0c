"""`dbplanmon store`: care of our own data."""

from datetime import date

import click

from dbplanmon_pipeline.cli.choices import confirm
from dbplanmon_pipeline.cli.invocation import (
    Invocation,
    json_option,
    operating_system_user,
    pass_invocation,
    read_day,
    utc_now,
)
from dbplanmon_pipeline.cli.output import print_fields, print_json, print_line, print_table
from dbplanmon_pipeline.core.jsonable import jsonable
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import SchemaDowngrade, SchemaStatus


@click.group()
def store() -> None:
    """Upgrade, downgrade, check, export, purge and maintain the store."""


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


@store.command("downgrade")
@click.argument("revision")
@click.option("--dry-run", is_flag=True, help="Only say what would be lost.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_invocation
def downgrade(invocation: Invocation, revision: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take the store back to REVISION, which an older program needs; `base` removes all data.

    Refused while anything else has the store open.
    """
    with invocation.session(upgrade=False) as session:
        found = session.store.downgrade(revision, dry_run=True)
        if not dry_run:
            if not yes:
                for line in _losses(found):
                    click.echo(one_line(line), err=True)
                confirm(f"Take {found.url} back to {revision}?")
            found = session.store.downgrade(revision)
    if as_json:
        print_json({**jsonable(found), "dry_run": dry_run})
        return
    for line in _losses(found, is_done=not dry_run):
        print_line(line)
    arrow = "would go" if dry_run else "went"
    print_line(f"{found.url}: schema {found.previous_revision} {arrow} to {found.revision or 'none'}")
    if not dry_run:
        print_line("now install the program that needs it; this one asks for dbplanmon store upgrade")


def _losses(found: SchemaDowngrade, *, is_done: bool = False) -> list[str]:
    verb = "lost" if is_done else "would be lost"
    lines = [f"{verb}: table {name} with {count:,} rows" for name, count in sorted(found.tables.items())]
    lines += [f"{verb}: column {name}" for name in found.columns]
    if not found.revision:
        lines.append("sealed days stay as files of the archive, which no store knows of then")
    return lines or ["nothing is lost" if is_done else "nothing would be lost"]


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
@click.option("--dry-run", is_flag=True, help="Only count what would be marked and removed.")
@click.option("--now", "at_once", is_flag=True, help="Remove what has expired without waiting for the grace period.")
@click.option("--cancel", is_flag=True, help="Take marks back: what they name stays until it is marked again.")
@click.option("--only", multiple=True, metavar="KIND", help="With --cancel: this kind of data; may be repeated.")
@click.option("--before", metavar="DAY", callback=read_day, help="Remove all interval metrics of days before DAY.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_invocation
def purge(
    invocation: Invocation,
    dry_run: bool,
    at_once: bool,
    cancel: bool,
    only: tuple[str, ...],
    before: date | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Mark what the settings no longer keep, and remove what was marked longer ago than the grace period."""
    if sum((dry_run and not at_once, at_once, cancel, before is not None)) > 1 or (only and not cancel):
        raise click.UsageError("--dry-run goes with --now, --only with --cancel; nothing else goes together")
    if before is not None:
        _purge_before(invocation, before, yes, as_json)
    elif cancel:
        _cancel(invocation, only, as_json)
    else:
        if at_once and not dry_run and not yes:
            confirm("Remove all expired data at once?")
        _apply(invocation, dry_run, at_once, as_json)


def _purge_before(invocation: Invocation, before: date, yes: bool, as_json: bool) -> None:
    if before > utc_now().date():
        raise click.BadParameter("must not lie in the future", param_hint="--before")
    if not yes:
        confirm(f"Remove all interval metrics before {before}?")
    with invocation.session(upgrade=False) as session:
        hot = session.store.drop_hot_days(before)
        sealed = session.store.drop_sealed_days(before)
    if as_json:
        print_json({"before": before, "hot_days": hot, "sealed_days": sealed})
    else:
        print_line(f"{len(hot)} hot and {len(sealed)} sealed days before {before} removed")


def _cancel(invocation: Invocation, only: tuple[str, ...], as_json: bool) -> None:
    with invocation.session(upgrade=False) as session:
        taken = session.take_back_expiry(only, actor=operating_system_user())
    if as_json:
        print_json({"cancelled": taken})
        return
    rows = [(mark.subject, mark.before, mark.marked_at, mark.rows) for mark in taken]
    print_table(("what", "before", "marked at", "rows"), rows, empty="there were no marks")


def _apply(invocation: Invocation, dry_run: bool, at_once: bool, as_json: bool) -> None:
    with invocation.session(upgrade=False) as session:
        report = session.apply_retention(dry_run=dry_run, at_once=at_once, actor=operating_system_user())
    if as_json:
        print_json({"marked": report.marked, "removed": report.removed, **jsonable(report)})
        return
    rows = [
        (one.subject, one.before, one.marked, one.waiting, one.removed)
        for one in report.subjects
        if one.marked or one.waiting or one.removed
    ]
    tense = "would be " if dry_run else ""
    heads = ("what", "before", f"{tense}marked", "waiting", f"{tense}removed")
    print_table(heads, rows, empty="nothing has expired")
    if report.held_by:
        print_line(f"older days stay for the sake of the open incident {report.held_by}")


@store.command("maintain")
@json_option
@pass_invocation
def maintain(invocation: Invocation, as_json: bool) -> None:
    """Refresh statistics, empty the write-ahead log, give free room back; safe while others write."""
    with invocation.session(upgrade=False) as session:
        steps = session.maintain_store()
    if as_json:
        print_json({"steps": steps})
    else:
        print_table(("step", "seconds", "outcome"), [(s.name, s.seconds, s.outcome) for s in steps], empty="nothing")
