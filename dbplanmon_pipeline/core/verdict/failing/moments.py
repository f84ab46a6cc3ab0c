"""What fails at some moments, as verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef, Label, Severity, hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, Failures, failures_per_hour_words, share_words
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.failing.attempts import Around, Attempts
from dbplanmon_pipeline.core.verdict.failing.record import FailingRecord
from dbplanmon_pipeline.core.verdict.failing.rule import Failing, FailingRule, Newest, newest_failures
from dbplanmon_pipeline.core.verdict.model import Evaluation, Known, Verdict
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.frames import SeriesFrame
from dbplanmon_pipeline.core.verdict.telling.evidence import count_text

_LEVELS = ((0.5, Severity.HIGH), (0.1, Severity.MEDIUM))
"""Share of failed executions from which each holds; all below is low."""

_FEW, _MANY = 10.0, 1_000.0
"""Failures per hour below which the severity is one step lower, and from which on it is one step higher."""

_MOST_PLANS = 50
"""More plans of one statement in one interval are not looked at."""

Statement = tuple[DatabaseRef, int]


@dataclass(frozen=True)
class FailingMoments:
    """What failed, by number of the moment.

    Attributes:
        verdicts: of statements that fail since their plan changed.
        shares: of failed executions in the last interval of every statement that had any.
    """

    verdicts: Mapping[int, Mapping[Statement, Verdict]] = field(default_factory=dict)
    shares: Mapping[int, Mapping[Statement, float]] = field(default_factory=dict)

    def unless_failing(self, number: int, known: Known) -> Known:
        """The same, but what fails as well is wanted in full: its incident keeps how often it does."""
        failing = self.verdicts.get(number, {})
        return lambda ref, query_hash: (ref, query_hash) not in failing and known(ref, query_hash)

    def into(self, number: int, evaluation: Evaluation) -> Evaluation:
        """An evaluation with what failed at its moment; a statement that is slower as well keeps one verdict."""
        if number not in self.verdicts and number not in self.shares:
            return evaluation
        failing = dict(self.verdicts.get(number, {}))
        slow = []
        for verdict in evaluation.verdicts:
            other = failing.pop((verdict.ref, verdict.query_hash), None)
            slow.append(_told_inside(verdict, other) if other else verdict)
        return replace(evaluation, verdicts=(*slow, *failing.values()), failing=self.shares.get(number, {}))


def failing_moments(
    frame: IntervalFrame, table: pd.DataFrame, plan_hash: Longs, ticks_us: Longs, policy: DetectorPolicy
) -> FailingMoments:
    """Judge all rows of the lookback at several moments.

    Args:
        frame: rows from the lookback before the first moment on.
        table: of the baselines.
        plan_hash: int64, the plan each row of `table` knows.
        ticks_us: rising, at least a step apart [epoch microseconds].
        policy: thresholds.
    """
    record = frame.failing if isinstance(frame, SeriesFrame) else FailingRecord(frame)
    lookback_us = policy.step_us * policy.lookback_intervals
    part = record.between(int(ticks_us[0]) - lookback_us, int(ticks_us[-1]), table, plan_hash)
    if part is None:
        return FailingMoments()
    around, refs = Around(part.cells, frame.databases), frame.databases
    newest = newest_failures(part.rows, ticks_us, policy.step_us, around)
    verdicts = failing_verdicts(part.rows, part.usual, newest, ticks_us, around, refs, policy)
    return FailingMoments(verdicts, failing_shares(part.rows, newest, refs))


def failing_verdicts(
    rows: Attempts,
    usual: np.ndarray,
    newest: Newest,
    ticks_us: Longs,
    around: Around,
    refs: Mapping[int, DatabaseRef],
    policy: DetectorPolicy,
) -> dict[int, dict[Statement, Verdict]]:
    """Apply `FailingRule`; see there."""
    rule = FailingRule(rows, usual, around, policy.step_us, policy.step_us * policy.lookback_intervals)
    found: dict[int, dict[Statement, Verdict]] = {}
    for one in rule.judge(newest, ticks_us):
        verdict = _verdict(rows, one, refs[int(rows.database_id[one.row])])
        found.setdefault(one.tick, {})[verdict.ref, verdict.query_hash] = verdict
    return found


def failing_shares(
    rows: Attempts, newest: Newest, refs: Mapping[int, DatabaseRef]
) -> dict[int, dict[Statement, float]]:
    """Share of failed executions of each statement in the intervals of `newest`, over all its plans."""
    found: dict[int, dict[Statement, float]] = {}
    statement = rows.statement
    for row, tick in zip(newest.row.tolist(), newest.tick.tolist(), strict=True):
        key = (refs[int(rows.database_id[row])], int(rows.query_hash[row]))
        if key in found.setdefault(tick, {}):
            continue
        near = slice(max(row - _MOST_PLANS, 0), row + _MOST_PLANS)
        same = (statement[near] == statement[row]) & (rows.end_us[near] == rows.end_us[row])
        found[tick][key] = float(rows.failed[near][same].sum() / rows.tried[near][same].sum())
    return found


def severity_of_failures(failures: Failures) -> Severity:
    """By share, one step up or down by their number per hour; what never succeeds any more is critical."""
    if failures.failed >= failures.executions:
        return Severity.CRITICAL
    rank = next((level for share, level in _LEVELS if failures.share >= share), Severity.LOW).rank
    step = int(failures.per_hour >= _MANY) - int(failures.per_hour < _FEW)
    return list(Severity)[min(max(rank + step, 0), Severity.CRITICAL.rank)]


def _told_inside(verdict: Verdict, failing: Verdict) -> Verdict:
    worst = max(verdict.severity, failing.severity, key=lambda one: one.rank)
    evidence = (*verdict.evidence, *failing.evidence[:2])
    return replace(verdict, severity=worst, evidence=evidence, failures=failing.failures)


def _verdict(rows: Attempts, one: Failing, ref: DatabaseRef) -> Verdict:
    failures = _failures(rows, one)
    plan, began_at = int(rows.plan_hash[one.row]), from_epoch_us(int(rows.start_us[one.began]))
    return Verdict(
        ref=ref,
        query_hash=int(rows.query_hash[one.row]),
        plan_hash=plan,
        previous_plan_hash=one.previous_plan_hash,
        label=Label.FAILING,
        severity=severity_of_failures(failures),
        metric=FAILED_EXECUTIONS,
        effect_ratio=failures.ratio,
        extra_seconds_per_hour=0.0,
        extra_seconds_low=0.0,
        extra_seconds_high=0.0,
        baseline_us=0.0,
        observed_us=0.0,
        score=one.score,
        window_intervals=one.intervals,
        began_at=began_at,
        evidence=(
            _share_sentence(failures),
            f"{failures_per_hour_words(failures)}; the engine keeps no time of these.",
            f"Failing since {began_at:%Y-%m-%d %H:%M:%S} UTC, judged over {one.intervals} intervals with executions.",
            f"Plan {hash_text(one.previous_plan_hash)} -> {hash_text(plan)}.",
        ),
        failures=failures,
    )


def _failures(rows: Attempts, one: Failing) -> Failures:
    (tried_before, failed_before), (tried, failed, aborted) = one.before, one.now
    hours = max(int(rows.end_us[one.row]) - int(rows.start_us[one.first]), 1) / 3.6e9
    return Failures(
        share_before=failed_before / tried_before,
        share=failed / tried,
        failed_before=failed_before,
        executions_before=tried_before,
        failed=failed,
        executions=tried,
        aborted=aborted,
        per_hour=max(failed - one.expected, 0.0) / hours,
    )


def _share_sentence(failures: Failures) -> str:
    errors = failures.failed - failures.aborted
    kinds = [(failures.aborted, "cut short by the client"), (errors, "ended with an error")]
    how = ", ".join(f"{count_text(count)} {words}" for count, words in kinds if count > 0)
    return (
        f"{count_text(failures.failed)} of {count_text(failures.executions)} executions failed under the present plan "
        f"({share_words(failures.share)}: {how}); {count_text(failures.failed_before)} of "
        f"{count_text(failures.executions_before)} under the plans before ({share_words(failures.share_before)})."
    )
