"""The worlds by name, each with one oddity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline_tests.bench.worlds import disturbances, faults
from dbplanmon_pipeline_tests.bench.worlds.clock import DAY, EPOCH, HOUR, STEP_US
from dbplanmon_pipeline_tests.bench.worlds.collecting import Collection, every_tick, in_steps, with_gaps
from dbplanmon_pipeline_tests.bench.worlds.faults import Fault
from dbplanmon_pipeline_tests.bench.worlds.labels import Labels
from dbplanmon_pipeline_tests.bench.worlds.population import Fleet, ordinary
from dbplanmon_pipeline_tests.bench.worlds.statement import Statement, rows_of

_ORDER = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
_EVERYDAY = ((faults.spikes, 0.06), (faults.harmless_plan, 0.06), (faults.growth, 0.04))
_FAULTY = 0.2
_ALL = ("lognormal", "gamma", "weibull", "pareto", "waits", "stalls")


@dataclass(frozen=True)
class World:
    """Recorded intervals with the truth about them.

    Attributes:
        name: in the catalogue.
        frame: the record.
        labels: one row per event; see `Labels.table`.
        statements: all that there are.
        ticks: how long it lasts.
    """

    name: str
    frame: IntervalFrame
    labels: pd.DataFrame
    statements: Sequence[Statement]
    ticks: int


@dataclass
class Draft:
    """A world while it is being made."""

    rng: np.random.Generator
    fleet: Fleet
    labels: Labels
    statements: list[Statement]
    collections: list[Collection]

    def troubled(self, *kinds: Fault, share: float = _FAULTY) -> None:
        """Give faults to some statements, everyday events that are none to others, and nothing to the rest."""
        rng, order = self.rng, self.rng.permutation(len(self.statements)).tolist()
        parts = [(kind, share / len(kinds)) for kind in kinds] + list(_EVERYDAY)
        for kind, part in parts:
            for _ in range(max(1, round(part * len(self.statements)))):
                if order:
                    kind(rng, self.statements[order.pop()], self.labels)

    def some(self, kind: Fault, share: float) -> None:
        """Do something to a part of the statements, whatever else happens to them."""
        for one in self.rng.permutation(len(self.statements))[: round(share * len(self.statements))].tolist():
            kind(self.rng, self.statements[one], self.labels)

    def slow_hosts(self) -> None:
        """See `disturbances`."""
        disturbances.slow_hosts(self.rng, self.statements, self.fleet, self.labels)


def _plain(draft: Draft) -> None:
    draft.slow_hosts()
    draft.troubled(faults.step)


def _weekdays(draft: Draft) -> None:
    disturbances.weekday_levels(draft.rng, draft.statements, draft.fleet)
    draft.slow_hosts()
    draft.troubled(faults.step)


def _batches(draft: Draft) -> None:
    disturbances.nightly_batches(draft.rng, draft.statements, draft.fleet)
    draft.troubled(faults.step)


def _databases(draft: Draft) -> None:
    disturbances.slow_databases(draft.rng, draft.statements, draft.fleet, draft.labels)
    draft.troubled(faults.step)


def _disks(draft: Draft) -> None:
    for one in draft.statements[::2]:
        one.wait_us *= draft.rng.uniform(2.0, 6.0)
    for one in draft.statements[1::2]:
        one.wait_us *= 0.02
    disturbances.slow_disks(draft.rng, draft.statements, draft.fleet, draft.labels)
    draft.troubled(faults.step)


def _some_wait(draft: Draft) -> None:
    waiting = draft.statements[::2]
    for one in waiting:
        one.wait_us *= draft.rng.uniform(2.0, 6.0)
    disturbances.slow_disks(draft.rng, waiting, draft.fleet, draft.labels)
    draft.troubled(faults.step)


def _tails(draft: Draft) -> None:
    draft.slow_hosts()
    draft.troubled(faults.tail)


def _flipping(draft: Draft) -> None:
    draft.some(faults.harmless_flips, 0.15)
    draft.slow_hosts()
    draft.troubled(faults.flips)


def _ramping(draft: Draft) -> None:
    draft.slow_hosts()
    draft.troubled(faults.ramp)


def _in_office(draft: Draft) -> None:
    draft.slow_hosts()
    draft.troubled(faults.office, faults.tail)


def _improving(draft: Draft) -> None:
    draft.slow_hosts()
    draft.troubled(faults.step, faults.improvement, share=0.4)


def _improved_before(draft: Draft) -> None:
    draft.slow_hosts()
    draft.troubled(faults.step, faults.past_improvement, share=0.5)


def _rare(draft: Draft) -> None:
    for one in draft.statements[::2]:
        one.calls *= draft.rng.uniform(3, 40) / DAY / one.calls.mean()
        one.cpu_us *= 2e6 / one.cpu_us.mean() * draft.rng.uniform(0.5, 3)
        one.family = "rare"
    draft.slow_hosts()
    draft.troubled(faults.step)


def _hourly(draft: Draft) -> None:
    draft.collections[:] = [in_steps(draft.fleet.ticks, HOUR) for _ in draft.collections]
    draft.slow_hosts()
    draft.troubled(faults.step)


def _two_plans(draft: Draft) -> None:
    draft.some(faults.two_plans, 0.2)
    draft.slow_hosts()
    draft.troubled(faults.other_plan)


def _gaps(draft: Draft) -> None:
    draft.collections[:] = [with_gaps(draft.rng, draft.fleet.ticks, 4.0, 0.5) for _ in draft.collections]
    draft.slow_hosts()
    draft.troubled(faults.step)


def _growing(draft: Draft) -> None:
    draft.some(faults.growth, 0.4)
    draft.slow_hosts()
    draft.troubled(faults.step)


def _quiet(draft: Draft) -> None:
    draft.slow_hosts()
    draft.troubled(faults.spikes, share=0.02)


def _restless(draft: Draft) -> None:
    disturbances.restless_levels(draft.rng, draft.statements, draft.fleet)
    _quiet(draft)


def _drifting(draft: Draft) -> None:
    disturbances.restless_levels(draft.rng, draft.statements, draft.fleet)
    _plain(draft)


@dataclass(frozen=True)
class Recipe:
    """How a world is made.

    Attributes:
        about: what is odd, in a few words.
        alter: does it.
        families: of costs.
        databases: of each instance.
        larger: times as many statements as others have.
        calls: median of the executions per tick.
    """

    about: str
    alter: Callable[[Draft], None]
    families: tuple[str, ...] = ("lognormal",)
    databases: int = 1
    larger: float = 1.0
    calls: float = 10.0


RECIPES = {
    "gamma": Recipe("gamma and Weibull costs", _plain, ("gamma", "weibull")),
    "pareto": Recipe("Pareto tails", _plain, ("pareto",)),
    "waits": Recipe("waits that are mostly zero", _plain, ("waits",)),
    "weekdays": Recipe("a level for each weekday", _weekdays),
    "batches": Recipe("batch windows that begin at about the same time", _batches),
    "databases": Recipe("disturbances of one database", _databases, databases=3, larger=1.5),
    "handful": Recipe("disturbances of databases with a handful of statements", _databases, databases=6, larger=0.9),
    "disks": Recipe("disturbances of what waits for a disk", _disks),
    "some_wait": Recipe("disturbances of what waits for a disk, while others wait for something else", _some_wait),
    "tails": Recipe("slow in the tail only", _tails),
    "flips": Recipe("plans that flip every few hours", _flipping),
    "ramps": Recipe("costs that rise for hours or days", _ramping),
    "office": Recipe("slow in business hours only, or in the tail only", _in_office),
    "improved": Recipe("improvements that do not last", _improving),
    "improved_before": Recipe("improvements that ended before anything is judged", _improved_before),
    "rare": Recipe("half of the statements run a few times a day", _rare),
    "hourly": Recipe("one interval per hour", _hourly),
    "two_plans": Recipe("two plans in one interval", _two_plans),
    "gaps": Recipe("many gaps and restarts", _gaps),
    "stalls": Recipe("waits that are hardly ever there, and long then", _plain, ("stalls",)),
    "drifting": Recipe("levels that drift, and days that differ by weekday", _drifting, _ALL),
    "growing": Recipe("a few executions far dearer, of statements that run ever more often", _growing, ("modes",)),
    "quiet": Recipe("a large fleet without a fault", _quiet, ("lognormal", "gamma", "waits"), 2, 5.0, 1.0),
    "restless": Recipe("a large fleet that drifts, heavy-tailed, without a fault", _restless, _ALL, 2, 10.0, 1.0),
}
"""By name; each world is made by one seed."""


def make_world(name: str, seed: int, statements: int, days: int = 14) -> World:
    """Make a world of the catalogue.

    Args:
        name: of `RECIPES`.
        seed: of chance; the same seed makes the same world.
        statements: how many, before what the recipe makes of it.
        days: how long; the first week is only learnt from.
    """
    recipe = RECIPES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    fleet = Fleet(round(statements * recipe.larger), days * DAY, 3, recipe.databases, recipe.calls)
    collections = [every_tick(fleet.ticks) for _ in range(fleet.instances)]
    draft = Draft(rng, fleet, Labels(), ordinary(rng, fleet, recipe.families), collections)
    recipe.alter(draft)
    frame, landed = _record(draft)
    labels = draft.labels.table(landed, [one.lands for one in draft.collections])
    return World(name, frame, labels, draft.statements, fleet.ticks)


def _record(draft: Draft) -> tuple[IntervalFrame, dict[int, Longs]]:
    """All rows, and by statement the ticks at whose ends they were seen."""
    databases = draft.fleet.databases
    refs = {
        instance * databases + database: DatabaseRef(f"sim-{instance}", f"db{database}")
        for instance in range(draft.fleet.instances)
        for database in range(databases)
    }
    parts, landed = [], {}
    for one in draft.statements:
        collection = draft.collections[one.instance]
        rows = rows_of(one, collection.lands, collection.since, draft.rng)
        number = np.full(len(rows["query_hash"]), one.instance * databases + one.database, np.int32)
        parts.append(pd.DataFrame({"database_id": number} | rows))
        ends = np.asarray(rows["interval_end_us"], np.int64)
        landed[one.number] = np.unique((ends - epoch_us(EPOCH)) // STEP_US) - 1
    table = pd.concat(parts, ignore_index=True).sort_values(_ORDER, ignore_index=True)
    known = [name for name in DETECTOR_COLUMNS if name in table.columns]
    return IntervalFrame(table[known], refs), landed
