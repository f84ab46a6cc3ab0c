"""Whether the store holds what really ran: every execution once, but for what no reading could know of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.providers.simulated import TrueWork
from dbplanmon_pipeline.providers.simulated.history import Work
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.soak.plan import Plan, Trouble
from dbplanmon_pipeline_tests.soak.targets import TroubledServer, server_of

CANDIDATES = 8
_FAR = timedelta(days=2)
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Comparison:
    """One database: executions that really ran and could be known, and those recorded."""

    ref: DatabaseRef
    true: float
    recorded: float
    wrong: str = ""


def readings_of(journal: Path) -> dict[DatabaseRef, list[datetime]]:
    """True moments at which each database was asked, stored or not."""
    found: dict[DatabaseRef, list[datetime]] = defaultdict(list)
    for line in (journal / "readings").read_text("utf-8").splitlines():
        instance, database, moment = line.split(" ", 2)
        found[DatabaseRef(instance, database)].append(datetime.fromisoformat(moment))
    return found


def compare(plan: Plan, store: SqlStore) -> list[Comparison]:
    """Every database, between its first and its last reading in the journal, both of which were surely stored.

    A plan cache loses at a restart what ran after the last reading that was stored before; which one that is, is
    looked for among the readings of the journal.
    """
    asked = readings_of(plan.journal)
    found = []
    for name, _ in plan.instances:
        server = server_of(plan, name)
        restarts = [
            plan.moment(one.begins)
            for one in plan.injections
            if one.instance == name and one.kind is Trouble.SERVER_RESTART and not server.has_query_store
        ]
        for database in plan.database_names:
            ref = DatabaseRef(name, database)
            recorded = _recorded(store, ref, _begins(server, database, asked[ref][0]))
            found.append(_compared(server, ref, recorded, _choices(asked[ref], restarts)))
    return found


def _begins(server: TroubledServer, database: str, first: datetime) -> datetime:
    """Before this moment only the import of history tells."""
    if not server.has_query_store:
        return first
    cadence = server.history(database).cadence
    overlap = timedelta(microseconds=cadence.overlap_us)
    since = first - overlap
    return since - timedelta(microseconds=int(since.timestamp() * 1e6) % cadence.interval_us)


def _choices(asked: Sequence[datetime], restarts: Sequence[datetime]) -> list[list[datetime]]:
    """Readings that may be the ones the store goes by, the likeliest first."""
    choices = [[asked[0]]]
    for restart in restarts:
        before = sorted((moment for moment in asked if moment < restart), reverse=True)[:CANDIDATES]
        choices = [[*chosen, moment] for chosen in choices for moment in before]
    return [[*chosen, asked[-1]] for chosen in choices]


def _compared(
    server: TroubledServer,
    ref: DatabaseRef,
    recorded: Mapping[tuple[int, int], TrueWork],
    choices: list[list[datetime]],
) -> Comparison:
    complaints = []
    for moments in choices:
        expected = server.recordable(ref.database, moments)
        wrong = _difference(recorded, expected)
        if not wrong:
            return Comparison(ref, _total(expected), _total(recorded))
        complaints.append(Comparison(ref, _total(expected), _total(recorded), wrong))
    return complaints[0]


def _difference(recorded: Mapping[tuple[int, int], TrueWork], expected: Work) -> str:
    true = {key: work for key, work in expected.items() if work.executions}
    if missing := true.keys() - recorded.keys():
        return f"{len(missing)} plans are missing"
    if invented := recorded.keys() - true.keys():
        return f"{len(invented)} plans never ran"
    for key, work in true.items():
        if recorded[key].executions != work.executions:
            return f"statement {key[0]:016x}: {recorded[key].executions:.0f} executions, {work.executions:.0f} ran"
        for name in ("elapsed_us", "worker_us", "reads_pages"):
            if abs(getattr(recorded[key], name) - getattr(work, name)) > _SAME * max(1.0, getattr(work, name)):
                return f"statement {key[0]:016x}: another {name}"
    return ""


def _recorded(store: SqlStore, ref: DatabaseRef, since: datetime) -> dict[tuple[int, int], TrueWork]:
    rows = store.interval_frame(since, since + _FAR, databases=[ref]).rows
    columns = ["execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages"]
    sums = rows.groupby(["query_hash", "plan_hash"])[columns].sum()
    return {
        (int(query), int(plan)): TrueWork(*map(float, row))
        for (query, plan), row in zip(sums.index, sums.to_numpy(), strict=True)
    }


def _total(work: Mapping[tuple[int, int], TrueWork]) -> float:
    return sum(one.executions for one in work.values())
