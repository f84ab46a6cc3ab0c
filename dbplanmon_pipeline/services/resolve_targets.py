"""Which databases are there to read: those the settings name, and those discovery finds."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from dbplanmon_pipeline.core.fleet import WHOLE_INSTANCE
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import JobState, Provider
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.services.breakers import left_alone
from dbplanmon_pipeline.services.collect import POLL_SECONDS, CollectionStopped, CollectionTarget, why_unreadable
from dbplanmon_pipeline.services.quick_retries import QuickRetries
from dbplanmon_pipeline.services.read_database import CaptureLimits

"""Stands for the database where an instance could not even list its databases."""


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """One instance of the settings.

    Attributes:
        databases: names, or None where discovery asks the server.
        limits: limits and budget [seconds] of one of its databases.
    """

    name: str
    engine: Engine
    databases: tuple[str, ...] | None
    limits: Callable[[str], tuple[CaptureLimits, float]]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Targets to read, and instances whose databases could not be listed."""

    targets: tuple[CollectionTarget, ...]
    unlisted: tuple[CollectionOutcome, ...] = ()


def resolve_targets(
    specs: Sequence[InstanceSpec],
    providers: Mapping[str, Provider],
    *,
    only: Sequence[str] = (),
    now: datetime,
    max_workers: int = 16,
    resting: Mapping[str, JobState] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Resolution:
    """List the databases of all instances, or those that `only` names as `instance` or `instance/database`.

    Args:
        specs: instances of the settings.
        providers: by instance; asked for the names where discovery is on.
        only: what to list; empty lists everything.
        now: aware UTC.
        max_workers: servers asked at once.
        resting: breakers that are open, by instance; discovery leaves these servers alone.
        stopped: asked often; true ends the discovery within seconds.

    Raises:
        CollectionStopped: `stopped` said so.
        SettingsError: `only` names something the settings do not.
    """
    wanted = _wanted(specs, only)
    chosen = [spec for spec in specs if not only or spec.name in wanted]
    left = {
        spec.name: left_alone(DatabaseRef(spec.name, WHOLE_INSTANCE), resting[spec.name], now)
        for spec in chosen
        if spec.databases is None and resting and spec.name in resting
    }
    discovering = [spec for spec in chosen if spec.databases is None and spec.name not in left]
    found = left | _discover(discovering, providers, now, max_workers, stopped)
    targets: list[CollectionTarget] = []
    unlisted: list[CollectionOutcome] = []
    for spec in chosen:
        names = spec.databases if spec.databases is not None else found[spec.name]
        if isinstance(names, CollectionOutcome):
            unlisted.append(names)
            continue
        targets.extend(_target(spec, name) for name in _narrow(spec, tuple(names), wanted.get(spec.name, set())))
    return Resolution(tuple(targets), tuple(unlisted))


def _wanted(specs: Sequence[InstanceSpec], only: Sequence[str]) -> dict[str, set[str]]:
    """Instance -> databases named in `only`; an empty set is the whole instance."""
    known = {spec.name for spec in specs}
    wanted: dict[str, set[str]] = {}
    whole = {name for name in only if "/" not in name}
    for name in only:
        instance, _, database = name.partition("/")
        if instance not in known:
            raise SettingsError(
                f"no instance {instance!r} in the settings; there are: {', '.join(sorted(known)) or 'none'}"
            )
        wanted.setdefault(instance, set())
        if database and instance not in whole:
            wanted[instance].add(database)
    return wanted


def _narrow(spec: InstanceSpec, names: tuple[str, ...], wanted: set[str]) -> tuple[str, ...]:
    unknown = sorted(wanted - set(names))
    if unknown:
        raise SettingsError(f"no database {unknown[0]!r} on {spec.name}; there are: {', '.join(names[:20]) or 'none'}")
    return tuple(name for name in names if name in wanted) if wanted else names


def _target(spec: InstanceSpec, database: str) -> CollectionTarget:
    limits, budget_seconds = spec.limits(database)
    return CollectionTarget(DatabaseRef(spec.name, database), spec.engine, limits, budget_seconds)


def _discover(
    specs: Sequence[InstanceSpec],
    providers: Mapping[str, Provider],
    now: datetime,
    max_workers: int,
    stopped: Callable[[], bool],
) -> dict[str, list[str] | CollectionOutcome]:
    if not specs:
        return {}
    pool = ThreadPoolExecutor(min(max_workers, len(specs)), thread_name_prefix="discover")
    retries = QuickRetries()

    def list_databases(instance: str) -> list[str] | CollectionOutcome:
        try:
            return retries.attempt(instance, providers[instance].databases, _seconds_left(stopped))[0]
        except Exception as error:  # noqa: BLE001 - whatever one server does, the others are asked
            return _unlisted(instance, error, now)

    try:
        asked = {pool.submit(list_databases, spec.name): spec.name for spec in specs}
        _wait_for(asked, stopped)
        return {name: future.result() for future, name in asked.items()}
    except BaseException:
        # Waiting for the pool would hold a cancelled run for as long as the slowest server.
        for spec in specs:
            providers[spec.name].cancel()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wait_for(asked: Iterable[Future[list[str] | CollectionOutcome]], stopped: Callable[[], bool]) -> None:
    waiting = set(asked)
    while waiting:
        _, waiting = wait(waiting, timeout=POLL_SECONDS)
        if stopped():
            raise CollectionStopped


def _seconds_left(stopped: Callable[[], bool]) -> Callable[[], float]:
    """Each listing has a limit of its own; only a run that is stopped ends the attempts."""
    return lambda: 0.0 if stopped() else math.inf


def _unlisted(instance: str, error: Exception, now: datetime) -> CollectionOutcome:
    error_class, message = why_unreadable(error)
    return CollectionOutcome(
        DatabaseRef(instance, WHOLE_INSTANCE),
        now,
        CollectionStatus.FAILED,
        error_class=error_class,
        message=f"databases could not be listed: {message}",
    )
