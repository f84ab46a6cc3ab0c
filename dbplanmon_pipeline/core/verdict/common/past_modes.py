"""What statements had in common at ticks gone by, kept so that a few can be judged without all the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common.common_mode import CommonMode, TickGrid
from dbplanmon_pipeline.core.verdict.common.held_up import HeldUp, Waits, held_up_by
from dbplanmon_pipeline.core.verdict.common.scopes import Modes, Scopes
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import ELAPSED_PER_WORKER, METRICS, VIEWS, SeriesRows

_ELAPSED = METRICS[0]

Place = tuple["NDArray[np.int64]", ...]


@dataclass(frozen=True)
class Cells:
    """One kind of group at all ticks; groups in the order of `PastModes`.

    Attributes:
        log_ratio: float64 [groups, ticks] by view, as in `CommonMode`; 0 where nothing is common.
        supported: bool [groups, ticks], of elapsed time, as in `CommonMode`.
        statements: int64 [groups, ticks], how many speak.
    """

    log_ratio: dict[str, Floats]
    supported: NDArray[np.bool_]
    statements: Longs

    def at(self, ticks: Longs) -> "Cells":
        """Some of the ticks."""
        return Cells(
            {view: values[:, ticks] for view, values in self.log_ratio.items()},
            self.supported[:, ticks],
            self.statements[:, ticks],
        )

    def then(self, newer: "Cells") -> "Cells":
        """These ticks and newer ones."""
        return Cells(
            {view: np.hstack([values, newer.log_ratio[view]]) for view, values in self.log_ratio.items()},
            np.hstack([self.supported, newer.supported]),
            np.hstack([self.statements, newer.statements]),
        )

    def slow(self, statements: int, policy: DetectorPolicy) -> NDArray[np.bool_]:
        """Where a group in which so many statements ran may count as slow [groups, ticks]."""
        spoke = self.statements >= statements
        high: NDArray[np.bool_] = self.log_ratio[_ELAPSED] > np.log(policy.common_mode_ratio)
        return self.supported & spoke & high


@dataclass(frozen=True)
class PastModes:
    """Common modes of the instances of one analysis and of their parts.

    Attributes:
        ends_us: int64 [ends], rising [epoch microseconds].
        tick: int64 [ends], the tick in which each end falls, from 0; mostly one end each.
        refs: name of each database id, in the order of the ids.
        instances / databases: what they have in common; databases beyond that of their instance.
        held_up: for how much longer than usual the statements of each instance waited together; as elapsed time over
            CPU time beyond what is common to the instance, as elapsed time beyond what is common to a database too.
    """

    ends_us: Longs
    tick: Longs
    refs: dict[int, DatabaseRef]
    instances: Cells
    databases: Cells
    held_up: Cells

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The instances, sorted."""
        return tuple(sorted({ref.instance for ref in self.refs.values()}))

    @cached_property
    def database_ids(self) -> Longs:
        """Sorted int64."""
        return np.array(list(self.refs), np.int64)

    @cached_property
    def instance_of(self) -> Longs:
        """Int64 [databases], number of the instance of each."""
        return self.places([ref.instance for ref in self.refs.values()])

    def after(self, moment_us: int) -> "PastModes | None":
        """The ticks that ended after a moment; None where that falls into a tick."""
        left = self.ends_us > moment_us
        ticks = np.unique(self.tick[left])
        if np.isin(self.tick[~left], ticks).any():
            return None
        return replace(
            self,
            ends_us=self.ends_us[left],
            tick=np.searchsorted(ticks, self.tick[left]).astype(np.int64),
            instances=self.instances.at(ticks),
            databases=self.databases.at(ticks),
            held_up=self.held_up.at(ticks),
        )

    def then(self, newer: "PastModes") -> "PastModes":
        """These ticks and newer ones of the same groups."""
        return replace(
            self,
            ends_us=np.concatenate([self.ends_us, newer.ends_us]),
            tick=np.concatenate([self.tick, newer.tick + self.instances.statements.shape[1]]),
            instances=self.instances.then(newer.instances),
            databases=self.databases.then(newer.databases),
            held_up=self.held_up.then(newer.held_up),
        )

    def may_be_slow(self, ticks: Longs, policy: DetectorPolicy) -> bool:
        """Whether some group may count as slow in some of the ticks; see `SlowGroups`."""
        few = policy.common_mode_few
        least = ((self.instances, policy.common_mode_statements), (self.databases, few), (self.held_up, few))
        return any(bool(cells.at(ticks).slow(statements, policy).any()) for cells, statements in least)

    def places(self, names: Sequence[str]) -> Longs:
        """Number of each instance."""
        return np.searchsorted(np.array(self.names), np.array(names)).astype(np.int64)


@dataclass
class HeardScopes:
    """The common modes of rows as their scopes give them, noted by view.

    Attributes:
        scopes: of the rows.
        instances / databases / held_up: filled by view as the views are asked for; see `PastModes.held_up`.
    """

    scopes: Scopes
    instances: dict[str, CommonMode] = field(default_factory=dict)
    databases: dict[str, CommonMode] = field(default_factory=dict)
    held_up: dict[str, CommonMode] = field(default_factory=dict)

    def view(self, name: str) -> "_HeardView":
        """The source of one view."""
        return _HeardView(self, name)

    def past(self, ends_us: Longs, ticks: Longs, names: Sequence[str], like: "PastModes") -> PastModes:
        """What was noted.

        Args:
            ends_us: int64 [ends], rising.
            ticks: int64 [ends], number of the tick of each on the grid.
            names: instances by code of the rows.
            like: names the groups wanted.
        """
        known = np.unique(self.scopes.rows.database_id)
        databases = np.searchsorted(like.database_ids, known).astype(np.int64)
        instances = like.places(names)
        ticks, number = np.unique(ticks, return_inverse=True)
        return replace(
            like,
            ends_us=ends_us,
            tick=number.astype(np.int64),
            instances=_cells(self.instances, instances, len(like.names), ticks),
            databases=_cells(self.databases, databases, len(like.database_ids), ticks),
            held_up=_cells(self.held_up, instances, len(like.names), ticks),
        )


@dataclass(frozen=True)
class _HeardView:
    heard: HeardScopes
    name: str

    def modes(self, deviation: Floats, scale: Floats, policy: DetectorPolicy) -> Modes:
        """See `Scopes.modes`."""
        modes = self.heard.scopes.modes(deviation, scale, policy)
        self.heard.instances[self.name] = modes.instances
        if modes.databases is not None:
            self.heard.databases[self.name] = modes.databases
        return modes

    def held_up(self, waits: Waits, policy: DetectorPolicy) -> HeldUp:
        """See `Scopes.held_up`."""
        found = self.heard.scopes.held_up(waits, policy)
        for view, level in ((_ELAPSED, found.beyond), (ELAPSED_PER_WORKER, found.level)):
            self.heard.held_up[view] = CommonMode(found.grid, level, level > 0)
        return found


def nothing_common(databases: Mapping[int, DatabaseRef]) -> PastModes:
    """Before the first tick."""
    refs = {number: databases[number] for number in sorted(databases)}
    nothing = np.empty(0, np.int64)
    instances = len({ref.instance for ref in refs.values()})
    cells = [_cells({}, nothing, number, nothing) for number in (instances, len(refs), instances)]
    return PastModes(nothing, nothing, refs, *cells)


def _cells(modes: dict[str, CommonMode], groups: Longs, number: int, ticks: Longs) -> Cells:
    """Groups and ticks of some modes at their places; nothing was common where they say nothing."""
    log_ratio = {view: np.zeros((number, len(ticks))) for view in VIEWS}
    supported, statements = np.zeros((number, len(ticks)), np.bool_), np.zeros((number, len(ticks)), np.int64)
    for view, mode in modes.items():
        inside = np.flatnonzero(ticks < mode.grid.width)
        # An instance whose rows have no baseline has no cells of its own at the end of the grid.
        own = groups[: mode.grid.groups]
        at, cut = np.ix_(own, inside), np.ix_(np.arange(len(own)), ticks[inside])
        log_ratio[view][at] = mode.log_ratio[cut]
        if view == _ELAPSED:
            supported[at], statements[at] = mode.supported[cut], mode.grid.statements[cut]
    return Cells(log_ratio, supported, statements)


@dataclass(frozen=True)
class KnownScopes:
    """Rows whose common modes are known already.

    Attributes:
        past: what was common.
        rows: the series; each end is one of `past`.
        names: instances by code of the rows.
        tick: int64 [rows], on the grid of the judgement.
    """

    past: PastModes
    rows: SeriesRows
    names: Sequence[str]
    tick: Longs

    def view(self, name: str) -> "_KnownView":
        """The source of one view."""
        return _KnownView(self, name)


@dataclass(frozen=True)
class _KnownView:
    known: KnownScopes
    name: str

    def modes(self, deviation: Floats, scale: Floats, policy: DetectorPolicy) -> Modes:
        """See `Scopes.modes`; that of the databases is told by row only, so that none is found slow."""
        del deviation, scale, policy
        past, rows = self.known.past, self.known.rows
        grid, place = self._grid(past.instances.statements)
        log_ratio, supported = np.zeros(grid.statements.shape), np.zeros(grid.statements.shape, np.bool_)
        own, cut = place
        log_ratio[own], supported[own] = past.instances.log_ratio[self.name][cut], past.instances.supported[cut]
        mode = CommonMode(grid, log_ratio, supported)
        database = np.searchsorted(past.database_ids, rows.database_id)
        beyond = past.databases.log_ratio[self.name][rows.spread(database), self._column()]
        return Modes(mode, None, mode.at_rows() + beyond)

    def held_up(self, waits: Waits, policy: DetectorPolicy) -> HeldUp:
        """See `Scopes.held_up`; told by row only, so that no instance is found slow."""
        del policy
        held_up = self.known.past.held_up
        grid, (own, cut) = self._grid(held_up.statements)
        level = np.zeros(grid.statements.shape)
        level[own] = held_up.log_ratio[ELAPSED_PER_WORKER][cut]
        return held_up_by(grid, level, np.zeros(level.shape), waits.rest)

    def _column(self) -> Longs:
        """Place of the tick of each row among those of the past."""
        past, rows = self.known.past, self.known.rows
        found: Longs = past.tick[np.searchsorted(past.ends_us, rows.end_us)]
        return found

    def _grid(self, spoke: Longs) -> tuple[TickGrid, tuple[Place, Place]]:
        """Grid of the instances, and which cells of it are which of the past."""
        past, rows, tick, column = self.known.past, self.known.rows, self.known.tick, self._column()
        groups = past.places(self.known.names)
        width = int(tick.max(initial=0)) + 1
        number = np.zeros(spoke.shape[1], np.int64)
        number[column] = tick
        seen = np.unique(column)
        own, cut = np.ix_(np.arange(len(groups)), number[seen]), np.ix_(groups, seen)
        statements = np.zeros((len(groups), width), np.int64)
        statements[own] = spoke[cut]
        cell = np.repeat(rows.instance * width, rows.counts) + tick
        grid = TickGrid(width, len(groups), tick, cell, np.zeros(len(tick), np.bool_), statements)
        return grid, (own, cut)
