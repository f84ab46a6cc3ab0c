"""What is true of a simulated database at a moment and may explain a slower statement, by name."""

from collections.abc import Iterator
from datetime import datetime

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.providers.simulated.faults import NORMAL_PLAN, FaultKind, SimulatedFault
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory
from dbplanmon_pipeline.providers.simulated.recorded_time import MINUTE_US
from dbplanmon_pipeline.providers.simulated.statements import plan_hash, query_hash

ADVICE_AFTER_US = 15 * MINUTE_US
"""The engine takes so long to advise on a regressed plan."""

_SETTINGS = {"setting max degree of parallelism": "8", "setting cost threshold for parallelism": "50"}
_HOUR_US = 60 * MINUTE_US


def facts_of(history: DatabaseHistory, now: datetime, *, query_store: bool, compatibility_level: int) -> dict[str, str]:
    """Facts of one database; its server must be up.

    Args:
        history: of the database.
        now: aware.
        query_store: whether it has one.
        compatibility_level: for example 160.
    """
    started = history.server_started_us(now)
    found = {
        "compatibility level": str(compatibility_level),
        **_SETTINGS,
        "replica role": "standalone",
        "query store state": query_store_state(history, now, query_store=query_store),
        "database identity": f"{history.identity:016x}",
        "automatic tuning FORCE_LAST_GOOD_PLAN": "OFF",
    }
    if started is not None:
        found["server started"] = f"{from_epoch_us(started):%Y-%m-%dT%H:%M:%SZ}"
    if query_store:
        found["query store size"] = "10 %"
    if history.faults:
        found.update(_of_statements(history.faults, epoch_us(now)))
    return found


def query_store_state(history: DatabaseHistory, now: datetime, *, query_store: bool) -> str:
    """As sys.database_query_store_options has it."""
    return "READ_WRITE" if query_store and history.recorded.is_on(epoch_us(now)) else "OFF"


def force_failures(fault: SimulatedFault, now_us: int) -> int:
    """How often forcing the plan has failed up to a moment."""
    return int(fault.factor * max(0, now_us - fault.start_us) / _HOUR_US)


def _of_statements(faults: tuple[SimulatedFault, ...], now_us: int) -> Iterator[tuple[str, str]]:
    for fault in faults:
        if not fault.is_on(now_us):
            continue
        query, normal = hash_text(query_hash(fault.statement)), hash_text(plan_hash(fault.statement, NORMAL_PLAN))
        if fault.kind is FaultKind.FORCED_PLAN:
            failures = force_failures(fault, now_us)
            yield f"forced plan {query} {normal}", f"forced, {failures} failures: NO_INDEX" if failures else "forced"
        if fault.kind is FaultKind.PLAN_REGRESSION and now_us >= fault.start_us + ADVICE_AFTER_US:
            yield f"engine advice {query}", f"score 87, would force plan {normal}, Active"
