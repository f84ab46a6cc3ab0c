"""Which moments of which instance were judged: rows of one shard may come after those of another were judged."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame

Arrivals = Mapping[str, datetime]
"""Instance -> end of its newest interval that is known."""

Ticks = tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class JudgedUntil:
    """How far the analysis has come.

    Attributes:
        until: everything that ended by then was judged,
        behind: but of these instances only what ended by an earlier moment.
    """

    until: datetime
    behind: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, until: str, behind: str, earliest: datetime) -> "JudgedUntil":
        """From the texts of the memory; what is further back than `earliest` is given up."""
        moments = {name: datetime.fromisoformat(text) for name, text in json.loads(behind or "{}").items()}
        kept = {name: moment for name, moment in moments.items() if moment > earliest}
        return cls(datetime.fromisoformat(until) if until else earliest, kept)

    def behind_text(self) -> str:
        """`behind` for the memory."""
        return json.dumps({name: moment.isoformat() for name, moment in sorted(self.behind.items())})

    def of(self, instance: str) -> datetime:
        """Up to here this instance was judged."""
        return self.behind.get(instance, self.until)

    def after(self, arrivals: Iterable[Arrivals], newest: datetime) -> "JudgedUntil":
        """Once these were judged too; an instance of which nothing is known up to `newest` may still come."""
        moments = {name: moment for part in arrivals for name, moment in part.items()}
        return JudgedUntil(newest, {name: moment for name, moment in moments.items() if moment < newest})


def by_ticks(frame: IntervalFrame, instances: Collection[str], judged: JudgedUntil) -> dict[Ticks, Arrivals]:
    """Instances by the ends of their intervals that were not judged yet, in order.

    Those with none join the instances that are furthest, unless these only came late.
    """
    rows = frame.rows.loc[fresh_rows_of(frame, judged), ["database_id", "interval_end_us"]].drop_duplicates()
    ends: dict[str, set[int]] = {instance: set() for instance in instances}
    for database_id, end in rows.itertuples(index=False):
        ends[frame.databases[int(database_id)].instance].add(int(end))
    found: dict[Ticks, dict[str, datetime]] = {}
    for instance, moments in ends.items():
        ticks = tuple(from_epoch_us(end) for end in sorted(moments))
        found.setdefault(ticks, {})[instance] = ticks[-1] if ticks else judged.of(instance)
    idle = found.pop((), {})
    if idle:
        ahead = [ticks for ticks in found if ticks[-1] > judged.until]
        furthest = max(ahead, key=lambda ticks: ticks[-1], default=())
        found.setdefault(furthest, {}).update(idle)
    return dict(found)


def fresh_rows_of(frame: IntervalFrame, judged: JudgedUntil) -> NDArray[np.bool_]:
    """Mask of the rows that were not judged yet."""
    limits = {number: epoch_us(judged.of(ref.instance)) for number, ref in frame.databases.items()}
    return (frame.rows["interval_end_us"] > frame.rows["database_id"].map(limits)).to_numpy(bool)


def rows_of(frame: IntervalFrame, instances: Collection[str]) -> IntervalFrame:
    """The part of a frame that belongs to some instances."""
    kept = {number: ref for number, ref in frame.databases.items() if ref.instance in instances}
    rows = frame.rows.loc[frame.rows["database_id"].isin(kept)]
    return IntervalFrame(rows.reset_index(drop=True), kept)
