"""`dbplanmon check`: what is wrong with the settings, the store or a target, and what helps."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, operating_system_user, pass_invocation
from dbplanmon_pipeline.cli.output import print_fields, print_json, print_section, print_table
from dbplanmon_pipeline.composition import Session
from dbplanmon_pipeline.core.model import Capability, DatabaseRef
from dbplanmon_pipeline.core.plain_words import counted
from dbplanmon_pipeline.core.ports import SchemaStatus
from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.services.check_targets import TargetCheck, check_targets

SHOWN_IN_FULL = 5
"""Targets of which every capability is listed."""


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--deep", is_flag=True, help="Also run each of our statements once and show how it fared.")
@json_option
@pass_invocation
@click.pass_context
def check(ctx: click.Context, invocation: Invocation, targets: tuple[str, ...], deep: bool, as_json: bool) -> None:
    """Check settings, store and every target, or only TARGET (an instance, or instance/database).

    Exits with 1 when a target cannot be used, a statement of a deep check fails, or the store needs an upgrade.
    """
    with invocation.session(upgrade=False) as session:
        schema = _schema(session)
        state = _State(session.settings.state_dir, unwritable(session.settings.state_dir))
        found = _check(session, targets, deep=deep)
    ok = _is_usable(schema) and not state.message and all(item.ok for item in found)
    if as_json:
        print_json(_facts(session, state, schema, found, ok=ok))
    else:
        _print(session, state, schema, found)
    if not ok:
        ctx.exit(1)


@dataclass(frozen=True, slots=True)
class _State:
    """The state folder, and why it cannot be written to; empty where it can."""

    folder: Path
    message: str


def unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, made or still to be made; empty where it can. Writes nothing itself."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir():
        return f"{place} is no folder; name another under `state_dir` in the settings"
    if not os.access(place, os.W_OK | os.X_OK):
        return (
            f"{place} cannot be written to by {operating_system_user()}; mend its rights, or name another `state_dir`"
        )
    return ""


def _check(session: Session, only: Sequence[str], *, deep: bool) -> tuple[TargetCheck, ...]:
    resolution = session.targets(only)
    return check_targets(
        resolution.targets,
        session.providers,
        unlisted=resolution.unlisted,
        max_workers=session.settings.collection.max_workers,
        deep=deep,
    )


def _schema(session: Session) -> SchemaStatus | StoreError:
    """What the store has, or why nobody knows; the targets are worth asking all the same."""
    try:
        return session.store.schema_status()
    except StoreError as error:
        return error


def _is_usable(schema: SchemaStatus | StoreError) -> bool:
    """A store that is not there yet is made by the first collection."""
    return isinstance(schema, SchemaStatus) and (schema.is_current or not schema.revision)


def _store_state(schema: SchemaStatus) -> str:
    if schema.is_current:
        return "current"
    return "needs_upgrade" if schema.revision else "not_created"


def _facts(
    session: Session, state: _State, schema: SchemaStatus | StoreError, found: Sequence[TargetCheck], *, ok: bool
) -> dict[str, object]:
    settings = session.settings
    return {
        "ok": ok,
        "settings": {"environment": settings.environment, "instances": len(settings.instances)},
        "state": {"folder": state.folder, "message": state.message},
        "store": _store(schema),
        "targets": [_target(item) for item in found],
    }


def _store(schema: SchemaStatus | StoreError) -> dict[str, object]:
    if isinstance(schema, StoreError):
        unknown = dict.fromkeys(("url", "revision", "expected"))
        return {**unknown, "state": "unavailable", "missing_tables": (), "message": _one_line(schema)}
    return {
        "url": schema.url,
        "state": _store_state(schema),
        "revision": schema.revision,
        "expected": schema.expected,
        "missing_tables": schema.missing_tables if schema.revision else (),
        "message": "",
    }


def _one_line(error: StoreError) -> str:
    return " ".join(str(error).split())


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
        "trials": item.trials,
    }


def _capability(one: Capability) -> dict[str, object]:
    return {"name": one.name, "available": one.available, "detail": one.detail, "remedy": one.remedy}


def _state_words(state: _State) -> str:
    return f"{state.folder}: {state.message}" if state.message else str(state.folder)


def _store_words(schema: SchemaStatus | StoreError) -> str:
    if isinstance(schema, StoreError):
        return _one_line(schema)
    state = {
        "current": f"schema {schema.revision}",
        "not_created": "not there yet; the first collection makes it",
        "needs_upgrade": f"schema {schema.revision}, expected {schema.expected}: run dbplanmon store upgrade",
    }[_store_state(schema)]
    return f"{schema.url}: {state}"


def _print(session: Session, state: _State, schema: SchemaStatus | StoreError, found: Sequence[TargetCheck]) -> None:
    enabled = sum(instance.enabled for instance in session.settings.instances)
    environment = session.settings.environment
    print_fields(
        [
            ("settings", f"{counted(enabled, 'instance')}, {environment}"),
            ("state", _state_words(state)),
            ("store", _store_words(schema)),
        ]
    )
    click.echo()
    print_table(
        ("target", "engine", "version", "usable", "statements", "missing", "ms"),
        [_row(item) for item in found],
        empty="no targets: name your servers under `instances` in the settings",
    )
    _print_capabilities(found)
    _print_trials(found)
    print_section("What to do", list(dict.fromkeys(line for item in found for line in _advice(item))))


def _print_capabilities(found: Sequence[TargetCheck]) -> None:
    """What few targets offer; of a whole fleet the column `missing` says enough."""
    told = [item for item in found if item.capabilities and item.capabilities.items]
    if not told or len(told) > SHOWN_IN_FULL:
        return
    click.echo()
    print_table(
        ("target", "capability", "there", "detail"),
        [
            (str(item.ref), one.name, "yes" if one.available else "no", one.detail)
            for item in told
            for one in (item.capabilities.items if item.capabilities else ())
        ],
        empty="",
    )


def _print_trials(found: Sequence[TargetCheck]) -> None:
    rows = [
        (str(item.ref), trial.name, trial.purpose, round(trial.duration_ms, 1), trial.rows, _fared(trial))
        for item in found
        for trial in item.trials
    ]
    if rows:
        click.echo()
        print_table(("target", "statement", "what it asks", "ms", "rows", "result"), rows, empty="")


def _fared(trial: StatementTrial) -> str:
    if trial.skipped_reason:
        return f"not run: {trial.skipped_reason}"
    return "ran" if trial.ok else f"failed: {trial.message}"


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
    lines += [
        _sentence(item.ref, one.detail or one.name, one.remedy)
        for one in missing
        if not one.remedy or one.remedy not in told
    ]
    failed = (trial for trial in item.trials if not trial.ok and not trial.skipped_reason)
    return lines + [_sentence(item.ref, f"{trial.name}: {trial.message}", trial.remedy) for trial in failed]


def _sentence(ref: DatabaseRef, what: str, remedy: str) -> str:
    return f"{ref}: {what.rstrip('.')}. {remedy}".rstrip()
