"""Alerts against labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.services.backtest import Notification
from dbplanmon_pipeline_tests.bench.worlds.catalog import World
from dbplanmon_pipeline_tests.bench.worlds.clock import DAY, EPOCH, HOUR, STEP_US, WEEK

_GRACE = HOUR
_LEAST_RATIO, _LEAST_INTERVALS = 1.5, 3
_WORTH_US, _MATERIAL_US = 1e6, 10e6


@dataclass(frozen=True)
class Score:
    """What the alerts of a world are worth.

    Attributes:
        events: true regressions of at least 1.5 times that cost a second per hour and were bad in three intervals.
        found: how many of them were told of.
        right: true regressions told of that cost a second per hour, of any ratio.
        material / material_found: true regressions from 10 seconds per hour on.
        false: alerts on statements that should not have been, by what really happened there.
        delays: intervals from the end of the first bad one to the alert, of material ones that doubled the cost.
        wide / wide_found: slow instances and databases after the first week.
        wide_false: alerts on instances and databases that were not slow.
        thousands: of statements times days.
        missed: (kind, cause, family, statement, onset) of events not found.
    """

    events: int
    found: int
    right: int
    material: int
    material_found: int
    false: Counter[str]
    delays: tuple[int, ...]
    wide: int
    wide_found: int
    wide_false: int
    thousands: float
    missed: tuple[tuple[str, str, str, int, int], ...] = field(default=())
    wrong: tuple[tuple[str, str, int, int], ...] = field(default=())

    @property
    def precision(self) -> float:
        """Share of the alerts that tell of true regressions."""
        return self.right / max(1, self.right + self.false.total())

    @property
    def recall(self) -> float:
        """Share of the events found; 1 without events."""
        return self.found / self.events if self.events else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there was nothing to find and nothing was said."""
        if not self.events:
            return float(not self.false.total())
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)

    @property
    def false_rate(self) -> float:
        """False alerts per 1,000 statements and day."""
        return self.false.total() / self.thousands

    def delay(self, share: float) -> float:
        """Quantile of the delays; NaN for none."""
        return float(np.quantile(self.delays, share)) if self.delays else float("nan")


def score(world: World, notifications: Sequence[Notification]) -> Score:
    """Judge what was said after the first week; of several alerts on one event the first counts."""
    labels = world.labels
    own, wide = labels[labels["scope"] == "query"], labels[labels["scope"] != "query"]
    by_statement = dict(tuple(own.groupby("query_id")))
    hit: dict[int, int] = {}
    wrong: list[tuple[str, str, int, int]] = []
    wide_hit: set[int] = set()
    wide_false = 0
    for one in sorted(notifications, key=lambda each: each.raised_at):
        tick, incident = (epoch_us(one.raised_at) - epoch_us(EPOCH)) // STEP_US - 1, one.incident
        there = wide[(wide["instance_id"] == int(incident.instance.removeprefix("sim-"))) & _around(wide, tick)]
        if tick < WEEK:
            continue
        if not incident.query_hash:
            wide_hit |= set(there["event_id"])
            wide_false += not len(there)
            continue
        events = by_statement.get(incident.query_hash, own.iloc[:0])
        events = events[_around(events, tick)]
        true = events[events["true_regression"]]
        if len(true):
            hit.setdefault(int(true["event_id"].iloc[0]), max(0, tick - int(true["first_bad_t"].iloc[0])))
        elif not events["neutral"].any():
            why = str(events["kind"].iloc[0]) if len(events) else ("wide" if len(there) else "quiet")
            wrong.append((why, world.statements[incident.query_hash - 1].family, incident.query_hash, tick))
    return _score(world, own, wide[wide["onset_t"] >= WEEK], hit, wrong, wide_hit, wide_false)


def _around(events: pd.DataFrame, tick: int) -> pd.Series:
    return (events["onset_t"] <= tick) & (tick < events["end_t"] + _GRACE)


def _score(
    world: World,
    own: pd.DataFrame,
    wide: pd.DataFrame,
    hit: dict[int, int],
    wrong: list[tuple[str, str, int, int]],
    wide_hit: set[int],
    wide_false: int,
) -> Score:
    true = own[own["true_regression"] & (own["first_bad_t"] >= 0)]
    worth = true[(true["extra_us_per_hour"] >= _WORTH_US) & (true["bad_intervals"] >= _LEAST_INTERVALS)]
    large = worth[worth["magnitude"] >= _LEAST_RATIO]
    material = true[true["extra_us_per_hour"] >= _MATERIAL_US]
    doubled = material[material["magnitude"] >= 2]
    missed = large[~large["event_id"].isin(list(hit))]
    return Score(
        events=len(large),
        found=len(large) - len(missed),
        right=int(worth["event_id"].isin(list(hit)).sum()),
        material=len(material),
        material_found=int(material["event_id"].isin(list(hit)).sum()),
        false=Counter(why for why, *_ in wrong),
        delays=tuple(hit[event] for event in doubled["event_id"] if event in hit),
        wide=len(wide),
        wide_found=int(wide["event_id"].isin(list(wide_hit)).sum()),
        wide_false=wide_false,
        thousands=len(world.statements) * (world.ticks - WEEK) / DAY / 1000,
        missed=tuple(missed[["kind", "cause", "family", "query_id", "onset_t"]].itertuples(index=False, name=None)),
        wrong=tuple(wrong),
    )
