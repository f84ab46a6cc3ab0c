"""Judge a new tick from its own rows and a state kept of the rows before, where that says the same as all of them.

The state is only a cache: it counts where it was made by the judgement before, from the same baselines, and where all
work that the store knows of is that of then and the new rows. After rows that came late, an outage or another database
the lookback is read whole, and a state is made from it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.arrivals import Arrivals, JudgedUntil, Ticks, by_ticks, rows_of
from dbplanmon_pipeline.core.grouping import Group
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import BaselineVersion, RecordedWork, StateFiles, StepStore
from dbplanmon_pipeline.core.ports.running import Arrays
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.failing.attempts import FAILED_COLUMNS
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Evaluation
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.core.verdict.running.arrays import FORM, from_arrays, to_arrays
from dbplanmon_pipeline.core.verdict.running.step import Advance, RunningState, Statement, begin, joined

_HOUR_US = 3_600_000_000
_NO_WORK = (0.0, 0.0, 0.0)
_MOST_STEPS = 2
"""Where the last judgement is more steps ago, the analysis was away for a while."""


@dataclass(frozen=True, slots=True)
class Part:
    """Instances that have the same moments to be judged, and their rows.

    Attributes:
        frame: rows that are judged, and in which plans may change.
        instances: which.
        ticks: the moments.
        arrivals: see `by_ticks`.
        evaluations: of the moments, where they are known already; `frame` has only statements with a new plan then.
    """

    frame: IntervalFrame
    instances: frozenset[str]
    ticks: tuple[datetime, ...]
    arrivals: Arrivals
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True)
class _Kept:
    """A state on its way to its file."""

    state: RunningState
    work: RecordedWork


@dataclass
class RunningSteps:
    """Judges group after group within one analysis.

    Args:
        store: ours.
        files: where states are kept.
        policy: thresholds of the statistical detector.
        layout: of its baselines.
        origin: program and store; states of others are not ours.
    """

    store: StepStore
    files: StateFiles
    policy: DetectorPolicy
    layout: str
    origin: str
    _version: BaselineVersion = field(init=False)
    _since: datetime = field(init=False)
    _fits: bool = field(default=False, init=False)
    _work: RecordedWork = field(default_factory=dict, init=False)
    _kept: dict[frozenset[str], _Kept] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._version = self.store.baseline_version(self.layout)

    def parts(self, group: Group, judged: JudgedUntil, newest: datetime, lookback: timedelta) -> list[Part] | None:
        """The parts of a group, judged; None where the lookback has to be read."""
        self._kept.clear()
        self._since = newest - lookback
        self._work = self.store.recorded_work(self._since, group)
        self._fits = lookback == self.policy.lookback
        if newest - judged.until > _MOST_STEPS * self.policy.step or not self._fits:
            return None
        instances = {ref.instance for ref in group}
        fresh = self._fresh(group, judged, newest)
        found = []
        for ticks, arrivals in by_ticks(fresh, instances, judged).items():
            # Plans are looked at as far back as where everything is read.
            since = min([judged.until, *(tick - timedelta(microseconds=1) for tick in ticks[:1])]) - lookback
            part = self._part(_refs(group, arrivals), fresh, ticks, arrivals, since)
            if part is None:
                self._kept.clear()
                return None
            found.append(part)
        return found

    def keep(self, part: Part, group: Group, latest: BaselineSet | None) -> None:
        """Save the state after a part was judged; `latest` where it was by the whole lookback."""
        refs = _refs(group, part.arrivals)
        kept = self._kept.get(part.instances)
        if kept is None and latest is not None and self._fits:
            kept = self._begun(part, refs, latest)
        if kept is not None:
            arrays = to_arrays(kept.state) | _work_arrays(kept.work, refs)
            self.files.save(_name("state", refs), {**arrays, **self._signed(refs)})

    def _fresh(self, group: Group, judged: JudgedUntil, newest: datetime) -> IntervalFrame:
        """Rows that were not judged yet; an instance that fell silent is looked at further back than the others."""
        behind: dict[datetime, list[DatabaseRef]] = {}
        for ref in group:
            behind.setdefault(judged.of(ref.instance), []).append(ref)
        frames = [
            self.store.interval_frame(start, newest, columns=DETECTOR_COLUMNS, databases=refs)
            for start, refs in behind.items()
        ]
        return joined(frames)

    def _part(
        self, refs: Sequence[DatabaseRef], fresh: IntervalFrame, ticks: Ticks, arrivals: Arrivals, since: datetime
    ) -> Part | None:
        """Judged by its state; None where that is not possible.

        Where an engine ends an interval of its own just before a reading, both ends are moments of one tick, and each
        is judged by what was known then.
        """
        if not ticks or ticks[-1] - ticks[0] >= self.policy.step / 2:
            return None
        own, work = rows_of(fresh, arrivals), _of(self._work, refs)
        said: list[Evaluation] = []
        for tick in ticks:
            # The second end begins where the first one did.
            saved, baselines = self._load(refs, tick)
            if saved is None or baselines is None or saved.state.as_of_us >= epoch_us(ticks[0]):
                return None
            new = _between(own, saved.state.as_of_us, epoch_us(tick))
            if tick == ticks[-1] and not _explains(saved.work, new, work, self._since):
                return None
            recent = _Recent(self.store, saved.state.past.refs, tick, since, self.policy)
            step = Advance(saved.state, baselines, self.policy).to(new, tick, recent)
            if step is None:
                return None
            said.append(step.evaluation)
            state, new_plans = saved.state, step.changed
        changed = recent.of_statements(new_plans) if new_plans else IntervalFrame(own.rows.iloc[:0], {})
        self._kept[frozenset(arrivals)] = _Kept(state, work)
        return Part(changed, frozenset(arrivals), ticks, arrivals, tuple(said))

    def _load(self, refs: Sequence[DatabaseRef], tick: datetime) -> tuple[_Kept | None, BaselineSet | None]:
        if self._version.as_of is None or self._version.as_of > tick:
            return None, None
        found = [self.files.load(_name(kind, refs)) for kind in ("state", "baselines")]
        state, baselines = (arrays if arrays and self._is_signed(arrays, refs) else None for arrays in found)
        if state is None or baselines is None:
            return None, None
        table = pd.DataFrame({name: baselines[name] for name in ("database_id", "query_hash")})
        known = BaselineSet(self._version.as_of, table, baselines["parameters"], self.layout)
        return _Kept(from_arrays(state), _work_from(state, refs)), known

    def _begun(self, part: Part, refs: Sequence[DatabaseRef], latest: BaselineSet) -> _Kept | None:
        """A state from a lookback that was read whole; None where it might not be the same any more."""
        tick, work = part.ticks[-1], _of(self._work, refs)
        if part.arrivals and max(part.arrivals.values()) != tick:
            return None
        if self._version.as_of is None or self._version.as_of > tick or latest.as_of != self._version.as_of:
            return None
        own = latest.table["database_id"].isin(part.frame.databases).to_numpy(bool)
        baselines = replace(latest, table=latest.table[own].reset_index(drop=True), parameters=latest.parameters[own])
        state = begin(part.frame, baselines, tick, self.policy)
        if self.store.recorded_work(self._since, refs) != work:
            return None
        columns = {name: baselines.table[name].to_numpy(np.int64) for name in ("database_id", "query_hash")}
        arrays: Arrays = {**columns, "parameters": baselines.parameters}
        self.files.save(_name("baselines", refs), {**arrays, **self._signed(refs)})
        return _Kept(state, work)

    def _signed(self, refs: Sequence[DatabaseRef]) -> Arrays:
        names = [[ref.instance, ref.database] for ref in refs]
        said = [FORM, self.origin, self.layout, repr(self.policy), self._version.text, str(self._version.as_of)]
        return {"signature": np.array(json.dumps([said, names]))}

    def _is_signed(self, arrays: Arrays, refs: Sequence[DatabaseRef]) -> bool:
        return str(arrays.get("signature")) == str(self._signed(refs)["signature"])


@dataclass(frozen=True)
class _Recent:
    """See `RecentRows`."""

    store: StepStore
    refs: dict[int, DatabaseRef]
    tick: datetime
    since: datetime
    policy: DetectorPolicy

    def of_databases(self, database_ids: Sequence[int]) -> IntervalFrame:
        refs = [self.refs[number] for number in database_ids]
        start = self.tick - self.policy.step
        return self.store.interval_frame(start, self.tick, columns=DETECTOR_COLUMNS, databases=refs)

    def of_statements(self, statements: Sequence[Statement]) -> IntervalFrame:
        start = min(self.since, self.tick - self.policy.lookback)
        return self.store.statement_frame(start, self.tick, statements, columns=DETECTOR_COLUMNS)


def _refs(group: Group, arrivals: Arrivals) -> list[DatabaseRef]:
    return sorted(ref for ref in group if ref.instance in arrivals)


def _between(frame: IntervalFrame, after_us: int, until_us: int) -> IntervalFrame:
    ends = frame.rows["interval_end_us"]
    return replace(frame, rows=frame.rows[(ends > after_us) & (ends <= until_us)].reset_index(drop=True))


def _name(kind: str, refs: Sequence[DatabaseRef]) -> str:
    return json.dumps([kind, *([ref.instance, ref.database] for ref in refs)])


def _of(work: RecordedWork, refs: Sequence[DatabaseRef]) -> RecordedWork:
    chosen = frozenset(refs)
    return {key: sums for key, sums in work.items() if key[0] in chosen}


def _explains(before: RecordedWork, new: IntervalFrame, now: RecordedWork, since: datetime) -> bool:
    """Whether all work known now is that of before and the new rows: nothing came late, and nothing is gone."""
    expected = {key: before.get(key, _NO_WORK) for key in now}
    first = epoch_us(since) // _HOUR_US * _HOUR_US
    if any(hour >= first and (ref, hour) not in now for ref, hour in before):
        return False
    for key, sums in _work_in(new).items():
        known = expected.get(key, _NO_WORK)
        expected[key] = tuple(one + other for one, other in zip(known, sums, strict=True))
    if expected.keys() != now.keys():
        return False
    given = np.array([[expected[key], now[key]] for key in now]).reshape(-1, 2, len(_NO_WORK))
    # Executions are whole numbers; sums of times differ in their last digits.
    off = np.abs(given[:, 0] - given[:, 1]) > np.array([1e-6, 1.0, 1e-6]) + np.array([1e-13, 1e-9, 1e-13]) * given[:, 1]
    return not off.any()


def _work_in(frame: IntervalFrame) -> RecordedWork:
    rows = frame.rows
    hour = (rows["interval_end_us"] - 1) // _HOUR_US * _HOUR_US
    failed = rows[list(FAILED_COLUMNS)].sum(axis=1)
    work = rows[["execution_count", "elapsed_time_us"]].assign(failed=failed)
    sums = work.groupby([rows["database_id"], hour]).sum()
    return {
        (frame.databases[int(number)], int(start)): tuple(values)
        for (number, start), values in zip(sums.index, sums.to_numpy().tolist(), strict=True)
    }


def _work_arrays(work: RecordedWork, refs: Sequence[DatabaseRef]) -> dict[str, np.ndarray]:
    place = {ref: number for number, ref in enumerate(refs)}
    return {
        "work:of": np.array([(place[ref], hour) for ref, hour in work], np.int64).reshape(-1, 2),
        "work:sums": np.array(list(work.values()), np.float64).reshape(-1, len(_NO_WORK)),
    }


def _work_from(arrays: Arrays, refs: Sequence[DatabaseRef]) -> RecordedWork:
    keys, sums = arrays["work:of"].tolist(), arrays["work:sums"].tolist()
    return {(refs[place], hour): tuple(own) for (place, hour), own in zip(keys, sums, strict=True)}
