"""What a detector takes and says; no rule lives here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef, Label, Severity
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.readings.failures import Failures
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame

BASELINE_COLUMNS = (
    "database_id",
    "query_hash",
    "active_intervals",
    "executions_per_hour",
    "elapsed_median_us",
    "elapsed_p95_us",
    "worker_median_us",
    "worker_p95_us",
    "reads_mean_pages",
)
"""Readable columns of a baseline, per execution where a cost; NaN: the engine does not tell."""


@dataclass(frozen=True, slots=True)
class ExcludedSpan:
    """Intervals that no baseline may learn from: an incident was open (aware UTC, half open).

    They are those of one statement, or of all statements of the database where the query hash is 0.
    """

    ref: DatabaseRef
    query_hash: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class BaselineSet:
    """What is normal for each statement, as learnt at one moment.

    Attributes:
        as_of: aware UTC; the baseline saw only intervals that ended by then.
        table: one row per (database_id, query_hash), columns BASELINE_COLUMNS, RangeIndex.
        parameters: float64 [n, K], the detector's own figures for the same rows (log medians, hour offsets, nulls).
        layout: names the meaning of `parameters`; a detector refuses a layout it does not know.
    """

    as_of: datetime
    table: pd.DataFrame
    parameters: Floats
    layout: str


@dataclass(frozen=True, slots=True)
class Course:
    """A rise from its first bad interval up to the moment that is judged.

    Attributes:
        ends_us: ends of its intervals with executions, rising [epoch microseconds].
        extra: cost per execution beyond normal in each, as a share of what is normal; 0 where it is not known.
    """

    ends_us: tuple[int, ...]
    extra: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One statement is significantly and materially slower than its own normal, or fails, as of one moment.

    Attributes:
        ref / query_hash: which statement.
        plan_hash / previous_plan_hash: plan now and, where it changed, the one before; 0 unknown.
        metric: `elapsed_time_us`, `worker_time_us`, or `failed_executions`, whose costs are not known and 0.
        effect_ratio: cost per execution now over normal, or share of failed executions now over before, > 1.
        extra_seconds_per_hour (low, high): what it costs beyond normal, with a 95 % interval.
        baseline_us / observed_us: cost per execution, normal and now [microseconds].
        score: the test statistic that fired, in units of its own null spread.
        window_intervals: how many intervals with executions the verdict rests on.
        began_at: start of the first bad interval, aware UTC.
        evidence: short sentences for a person.
        failures: how often it fails, where that rose with a new plan.
        course: how the rise went on since; None where the rule does not look at single intervals.
    """

    ref: DatabaseRef
    query_hash: int
    plan_hash: int
    previous_plan_hash: int
    label: Label
    severity: Severity
    metric: str
    effect_ratio: float
    extra_seconds_per_hour: float
    extra_seconds_low: float
    extra_seconds_high: float
    baseline_us: float
    observed_us: float
    score: float
    window_intervals: int
    began_at: datetime
    evidence: tuple[str, ...] = ()
    failures: Failures | None = None
    course: Course | None = None


@dataclass(frozen=True, slots=True)
class InstanceVerdict:
    """A whole instance, or one of its databases, is slower than normal: most of its statements rose together.

    Attributes:
        instance: its name.
        effect_ratio: the common factor of its statements.
        extra_seconds_per_hour: summed over its statements.
        statements: how many rose.
        began_at: start of the first bad interval, aware UTC.
        database: the one of several that is slow while its instance is not; empty where the whole instance is.
    """

    instance: str
    severity: Severity
    effect_ratio: float
    extra_seconds_per_hour: float
    statements: int
    began_at: datetime
    evidence: tuple[str, ...] = ()
    database: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What a detector says at one moment.

    Attributes:
        as_of: end of the interval judged last, aware UTC.
        verdicts / instance_verdicts: what fires now.
        active: (ref, query_hash) of statements that ran in the last interval; only they can prove to be calm again.
        judged: how many statements had a baseline and were judged.
        unjudged: how many ran without a baseline.
        slow_instances: instances whose common mode is high now; query incidents there are held back.
        slow_databases: databases that are slow while their instance is not; the same holds there.
        unchanged: start of the first bad interval, by (ref, query_hash), of statements that fire as well, of which the
            caller needed no verdict.
        failing: share of failed executions in the last interval of each statement that had any then.
    """

    as_of: datetime
    verdicts: tuple[Verdict, ...]
    instance_verdicts: tuple[InstanceVerdict, ...]
    active: AbstractSet[tuple[DatabaseRef, int]]
    judged: int
    unjudged: int
    slow_instances: frozenset[str] = frozenset()
    unchanged: Mapping[tuple[DatabaseRef, int], datetime] = field(default_factory=dict)
    slow_databases: frozenset[DatabaseRef] = frozenset()
    failing: Mapping[tuple[DatabaseRef, int], float] = field(default_factory=dict)

    def is_slow_around(self, ref: DatabaseRef) -> bool:
        """True where a whole database, or its instance, is slow."""
        return ref.instance in self.slow_instances or ref in self.slow_databases


Known = Callable[[DatabaseRef, int], bool]
"""True for a statement whose incident is open, where the caller needs no verdict that spells it out again."""


def nothing_known(ref: DatabaseRef, query_hash: int) -> bool:
    """Where every finding is wanted in full."""
    del ref, query_hash
    return False


class Detector(Protocol):
    """A rule that learns what is normal and judges the present by it."""

    @property
    def layout(self) -> str:
        """Names the form of its baselines, as in `BaselineSet.layout`."""
        ...

    def learn(self, history: IntervalFrame, as_of: datetime, excluded: Sequence[ExcludedSpan] = ()) -> BaselineSet:
        """Baselines from the intervals of `history` that ended by `as_of` and lie in no excluded span."""
        ...

    def evaluate(self, recent: IntervalFrame, baselines: BaselineSet, as_of: datetime) -> Evaluation:
        """Judge every statement of `recent` as of `as_of`, using only intervals that ended by then."""
        ...

    def evaluate_span(
        self, recent: IntervalFrame, baselines: BaselineSet, ticks: Sequence[datetime], known: Known = nothing_known
    ) -> Iterator[Evaluation]:
        """Judge several moments by the same baselines, oldest first; each as `evaluate` would."""
        ...
