"""What is true of a simulated database at a moment and may explain a slower statement, by name."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from dbplanmon_pipeline.core.causes.context_facts import EDITION_FACT, SQL_SERVER_VERSION_FACT
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.query_store_health import (
    FORCED_PLAN_FACT,
    IDENTITY_FACT,
    SIZE_FACT,
    STATE_FACT,
    forced_plan_value,
)
from dbplanmon_pipeline.providers.simulated.faults import NORMAL_PLAN, REGRESSED_PLAN, FaultKind, SimulatedFault
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory
from dbplanmon_pipeline.providers.simulated.recorded_time import MINUTE_US
from dbplanmon_pipeline.providers.simulated.statements import plan_hash, query_hash
from dbplanmon_pipeline.providers.simulated.versions import EDITION, SimulatedVersion

ADVICE_AFTER_US = 15 * MINUTE_US
"""The engine takes so long to advise on a regressed plan."""

FORCING_FAILED = "NO_INDEX"
"""Why a plan could not be forced."""

USED_MB, LARGEST_MB = 100, 1_000
"""Size of Query Store, and the largest it may have."""

ADVICE_SCORE = 87
AUTOMATIC_TUNING = "FORCE_LAST_GOOD_PLAN"

_SETTINGS = {"setting max degree of parallelism": "8", "setting cost threshold for parallelism": "50"}
_HOUR_US = 60 * MINUTE_US


def facts_of(
    history: DatabaseHistory, now: datetime, *, query_store: bool, version: SimulatedVersion
) -> dict[str, str]:
    """Facts of one database; its server must be up.

    Args:
        history: of the database.
        now: aware.
        query_store: whether it has one.
        version: release of the server.
    """
    started = history.server_started_us(now)
    found = {
        "compatibility level": str(version.compatibility_level),
        SQL_SERVER_VERSION_FACT: version.build(history.updates(now)),
        EDITION_FACT: EDITION,
        **_SETTINGS,
        "replica role": "standalone",
        STATE_FACT: query_store_state(history, now, query_store=query_store),
        IDENTITY_FACT: f"{history.identity:016x}",
        f"automatic tuning {AUTOMATIC_TUNING}": "OFF",
    }
    if started is not None:
        found["server started"] = f"{from_epoch_us(started):%Y-%m-%dT%H:%M:%SZ}"
    if query_store:
        found[SIZE_FACT] = f"{USED_MB * 100 // LARGEST_MB} % of {LARGEST_MB} MB"
    if history.faults:
        found.update(_of_statements(history.faults, epoch_us(now)))
    return found


def query_store_state(history: DatabaseHistory, now: datetime, *, query_store: bool) -> str:
    """As sys.database_query_store_options has it."""
    return "READ_WRITE" if query_store and history.recorded.is_on(epoch_us(now)) else "OFF"


def forced_plans(faults: Sequence[SimulatedFault], now_us: int) -> dict[int, int]:
    """Statements whose normal plan is forced, and how often that has failed so far."""
    return {
        fault.statement: int(fault.factor * (now_us - fault.start_us) / _HOUR_US)
        for fault in faults
        if fault.kind is FaultKind.FORCED_PLAN and fault.is_on(now_us)
    }


def advised_statements(faults: Sequence[SimulatedFault], now_us: int) -> list[int]:
    """Statements whose normal plan the engine would force."""
    return [
        fault.statement
        for fault in faults
        if fault.kind is FaultKind.PLAN_REGRESSION
        and fault.is_on(now_us)
        and now_us >= fault.start_us + ADVICE_AFTER_US
    ]


def _of_statements(faults: Sequence[SimulatedFault], now_us: int) -> Iterator[tuple[str, str]]:
    for statement, failures in forced_plans(faults, now_us).items():
        name = f"{FORCED_PLAN_FACT}{_query(statement)} {_plan(statement, NORMAL_PLAN)}"
        yield name, forced_plan_value(failures, FORCING_FAILED)
    for statement in advised_statements(faults, now_us):
        good, bad = _plan(statement, NORMAL_PLAN), _plan(statement, REGRESSED_PLAN)
        yield f"engine advice {_query(statement)}", f"score {ADVICE_SCORE}: force plan {good} instead of {bad}, Active"


def _query(statement: int) -> str:
    return hash_text(query_hash(statement))


def _plan(statement: int, plan: int) -> str:
    return hash_text(plan_hash(statement, plan))
