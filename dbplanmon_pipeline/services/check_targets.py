"""Ask every target what it offers and whether it can be read; one bad target never stops the others."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from dbplanmon_pipeline.core.model import Capabilities, CollectionOutcome, DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import Budget, Provider
from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import ProviderError, SettingsError
from dbplanmon_pipeline.services.collect import CollectionTarget, why_unreadable

GRACE_SECONDS = 5.0
"""A reader that keeps no budget is given up so long after it."""

DEEP_SECONDS = 60.0
"""Least budget of a target whose statements are all tried."""

POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class TargetCheck:
    """What was found out about one target.

    Attributes:
        ref: which database; `instance/*` where the databases of an instance could not even be listed.
        usable: its counters were read.
        capabilities: version and features; None where the target did not get as far as telling.
        statements: counters that were there to read.
        error_class / message / remedy: why it is not usable and what helps; empty where it is.
        duration_ms: wall time.
        trials: each of our statements, run once; empty unless a deep check was asked for.
    """

    ref: DatabaseRef
    engine: Engine
    usable: bool
    capabilities: Capabilities | None = None
    statements: int = 0
    error_class: str = ""
    message: str = ""
    remedy: str = ""
    duration_ms: float = 0.0
    trials: tuple[StatementTrial, ...] = ()

    @property
    def ok(self) -> bool:
        """Usable, and every statement that was tried ran."""
        return self.usable and all(trial.ok or trial.skipped_reason for trial in self.trials)


def check_targets(
    targets: Sequence[CollectionTarget],
    providers: Mapping[str, Provider],
    *,
    unlisted: Sequence[CollectionOutcome] = (),
    max_workers: int = 16,
    deep: bool = False,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[TargetCheck, ...]:
    """Probe all targets in parallel, each within its budget; answers come in the order of the targets.

    Args:
        targets: databases with their budgets.
        providers: by instance.
        unlisted: instances whose databases could not be listed; they come back as targets that cannot be used.
        max_workers: connections at once.
        deep: also run each of our statements once.
        monotonic: clock of the budgets.
    """
    found = tuple(
        TargetCheck(o.ref, providers[o.ref.instance].engine, usable=False, error_class=o.error_class, message=o.message)
        for o in unlisted
    )
    if not targets:
        return found
    if deep:
        targets = [replace(target, budget_seconds=max(target.budget_seconds, DEEP_SECONDS)) for target in targets]
    return (*_probe_all(targets, providers, max_workers, monotonic, deep=deep), *found)


def _probe_all(
    targets: Sequence[CollectionTarget],
    providers: Mapping[str, Provider],
    max_workers: int,
    monotonic: Callable[[], float],
    *,
    deep: bool,
) -> tuple[TargetCheck, ...]:
    began: dict[DatabaseRef, float] = {}

    def probe(target: CollectionTarget) -> TargetCheck:
        began[target.ref] = monotonic()
        return check_target(target, providers[target.ref.instance], monotonic, deep=deep)

    pool = ThreadPoolExecutor(min(max_workers, len(targets)), thread_name_prefix="check")
    try:
        futures = {pool.submit(probe, target): target for target in targets}
        _wait_for(futures, began, monotonic)
        return tuple(
            future.result() if future.done() else _given_up(target, asked=target.ref in began)
            for future, target in futures.items()
        )
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for instance in {target.ref.instance for target in targets}:
            providers[instance].cancel()


def _wait_for(
    futures: Mapping[Future[TargetCheck], CollectionTarget],
    began: Mapping[DatabaseRef, float],
    monotonic: Callable[[], float],
) -> None:
    """Until each target has answered or is long past its budget."""
    waiting = set(futures)
    while waiting:
        _, waiting = wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        now = monotonic()
        late = {future for future in waiting if _is_late(futures[future], began, now)}
        # Where every connection hangs nobody will ever ask the rest.
        if late and all(future in late or not future.running() for future in waiting):
            return


def _is_late(target: CollectionTarget, began: Mapping[DatabaseRef, float], now: float) -> bool:
    start = began.get(target.ref)
    return start is not None and now - start > target.budget_seconds + GRACE_SECONDS


def _given_up(target: CollectionTarget, *, asked: bool) -> TargetCheck:
    seconds = target.budget_seconds + GRACE_SECONDS
    return TargetCheck(
        target.ref,
        target.engine,
        usable=False,
        error_class="timeout",
        message=f"no answer within {seconds:.0f} s" if asked else "not asked, since every connection hangs",
        remedy="See whether the server hangs." if asked else "See to the other targets first.",
    )


def check_target(
    target: CollectionTarget, provider: Provider, monotonic: Callable[[], float], *, deep: bool = False
) -> TargetCheck:
    """Connect, ask for the capabilities, and read the counters once: only that proves that a collection will work."""
    began = monotonic()
    capabilities: Capabilities | None = None
    trials: tuple[StatementTrial, ...] = ()
    try:
        with provider.open(target.ref.database, Budget(began + target.budget_seconds, monotonic)) as reader:
            capabilities = reader.capabilities()
            # Before the counters: where these cannot be read, the trials say which statement it was.
            trials = tuple(reader.try_statements()) if deep else ()
            statements = reader.read_counters().statements
    except (ProviderError, SettingsError) as error:
        error_class, message, remedy = _told(error)
        return TargetCheck(
            target.ref,
            target.engine,
            usable=False,
            capabilities=capabilities,
            error_class=error_class,
            message=message,
            remedy=remedy,
            duration_ms=(monotonic() - began) * 1000,
            trials=trials,
        )
    return TargetCheck(
        target.ref,
        target.engine,
        usable=True,
        capabilities=capabilities,
        statements=statements,
        duration_ms=(monotonic() - began) * 1000,
        trials=trials,
    )


def _told(error: ProviderError | SettingsError) -> tuple[str, str, str]:
    """Class, message and remedy, one line each; a secret that resolves to nothing is trouble of one target, too."""
    if isinstance(error, ProviderError):
        return error.error_class, " ".join(error.message.split()), " ".join(error.remedy.split())
    return *why_unreadable(error), ""
