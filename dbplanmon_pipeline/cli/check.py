"""`dbplanmon check`: what is wrong with the settings, the store or a target, and what helps."""

from collections.abc import Sequence

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_fields, print_json, print_section, print_table
from dbplanmon_pipeline.composition import Session
from dbplanmon_pipeline.core.model import Capability, DatabaseRef
from dbplanmon_pipeline.core.ports import SchemaStatus
from dbplanmon_pipeline.services.check_targets import TargetCheck, check_targets


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@json_option
@pass_invocation
@click.pass_context
def check(ctx: click.Context, invocation: Invocation, targets: tuple[str, ...], as_json: bool) -> None:
    """Check settings, store and every target, or only TARGET (an instance, or instance/database).

    Exits with 1 when a target cannot be used or the store needs an upgrade.
    """
    with invocation.session(upgrade=False) as session:
        schema = session.store.schema_status()
        found = _check(session, targets)
    ok = _is_usable(schema) and all(item.usable for item in found)
    if as_json:
        print_json(_facts(session, schema, found, ok=ok))
    else:
        _print(session, schema, found)
    if not ok:
        ctx.exit(1)


def _check(session: Session, only: Sequence[str]) -> tuple[TargetCheck, ...]:
    resolution = session.targets(only)
    return check_targets(
        resolution.targets,
        session.providers,
        unlisted=resolution.unlisted,
        max_workers=session.settings.collection.max_workers,
    )


def _is_usable(schema: SchemaStatus) -> bool:
    """A store that is not there yet is made by the first collection."""
    return schema.is_current or not schema.revision


def _store_state(schema: SchemaStatus) -> str:
    if schema.is_current:
        return "current"
    return "needs_upgrade" if schema.revision else "not_created"


def _facts(session: Session, schema: SchemaStatus, found: Sequence[TargetCheck], *, ok: bool) -> dict[str, object]:
    settings = session.settings
    return {
        "ok": ok,
        "settings": {"environment": settings.environment, "instances": len(settings.instances)},
        "store": {
            "url": schema.url,
            "state": _store_state(schema),
            "revision": schema.revision,
            "expected": schema.expected,
            "missing_tables": schema.missing_tables if schema.revision else (),
        },
        "targets": [_target(item) for item in found],
    }


def _target(item: TargetCheck) -> dict[str, object]:
    known = item.capabilities
    return {
        "target": str(item.ref),
        "engine": item.engine,
        "usable": item.usable,
        "version": known.version if known else "",
        "statements": item.statements,
        "error_class": item.error_class,
        "message": item.message,
        "remedy": item.remedy,
        "duration_ms": round(item.duration_ms, 1),
        "capabilities": [_capability(one) for one in known.items] if known else [],
        "facts": known.facts if known else {},
    }


def _capability(one: Capability) -> dict[str, object]:
    return {"name": one.name, "available": one.available, "detail": one.detail, "remedy": one.remedy}


def _print(session: Session, schema: SchemaStatus, found: Sequence[TargetCheck]) -> None:
    store = {
        "current": f"schema {schema.revision}",
        "not_created": "not there yet; the first collection makes it",
        "needs_upgrade": f"schema {schema.revision}, expected {schema.expected}: run dbplanmon store upgrade",
    }[_store_state(schema)]
    enabled = sum(instance.enabled for instance in session.settings.instances)
    environment = session.settings.environment
    print_fields([("settings", f"{enabled} instances, {environment}"), ("store", f"{schema.url}: {store}")])
    click.echo()
    print_table(
        ("target", "engine", "version", "usable", "statements", "missing", "ms"),
        [_row(item) for item in found],
        empty="no targets: name your servers under `instances` in the settings",
    )
    print_section("What to do", list(dict.fromkeys(line for item in found for line in _advice(item))))


def _row(item: TargetCheck) -> tuple[str | int | None, ...]:
    missing = ", ".join(one.name for one in item.capabilities.missing) if item.capabilities else ""
    version = item.capabilities.version if item.capabilities else ""
    usable = "yes" if item.usable else f"no: {item.error_class}"
    count = item.statements if item.usable else None
    return (str(item.ref), item.engine.value, version, usable, count, missing, round(item.duration_ms))


def _advice(item: TargetCheck) -> list[str]:
    lines = [] if item.usable else [_sentence(item.ref, item.message, item.remedy)]
    missing = item.capabilities.missing if item.capabilities else ()
    told = f"{item.message} {item.remedy}"
    return lines + [
        _sentence(item.ref, one.detail or one.name, one.remedy)
        for one in missing
        if not one.remedy or one.remedy not in told
    ]


def _sentence(ref: DatabaseRef, what: str, remedy: str) -> str:
    return f"{ref}: {what.rstrip('.')}. {remedy}".rstrip()
