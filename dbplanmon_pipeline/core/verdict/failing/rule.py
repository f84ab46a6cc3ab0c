"""Executions that fail since a statement got another plan: a regression that no cost tells of.

A plan so slow that clients give up leaves no regular executions behind, or fewer and faster ones. So the share of
failed executions under the present plan is set against that under the plans before it. Both come from the same recent
rows and nothing is learnt beforehand: how often a statement fails is a habit of its clients and of the day more than of
the statement, and a change of plan is looked for in recent rows anyway. What has failed for longer than those reach
back goes on as an incident (`Failures.is_normal`).

The test is a likelihood ratio of beta-binomial counts. Failures come in bursts, so executions of one interval are taken
as correlated; no single interval proves anything, however many executions it had.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.failing.attempts import Around, Attempts, voices
from dbplanmon_pipeline.core.verdict.failing.beta_binomial import log_chance
from dbplanmon_pipeline.core.verdict.rows.timed_keys import TimedKeys

WINDOWS = (12, 36)
"""Intervals under the present plan that are judged together, the shorter first; fewer where it is younger."""

_PARTS = 1_000
_LEAST_BAD, _THAN_BEFORE = 2, 2
_LIKE_NOW = 0.25
"""Only intervals with so much of the present odds count as bad ones of before."""

_AT_ONCE = 0.5
"""Where every interval since the plan came is bad and so many executions fail, two of them are enough."""

_SPREAD_US, _SPREAD, _SPREAD_BAD = 1_800_000_000, (3, 6), 3
"""Else there must be three, the first and the last of them half an hour apart: three to six intervals, both counted."""

_LEAST_FAILURES = 5.0
_LEAST_NOW = 0.01
_LEAST_ODDS = 3.0
_BAD_ODDS = 2.0
_LEAST_EVIDENCE = 10.0
_ALIKE = 0.5
_SOON = 12
_LEAST_BEFORE = 3
_SURELY_NEW, _MOST_PRESENT = 12.0, 0.99
_CORRELATION = (0.05, 0.5)
_PRIOR_WEIGHT = 20.0
_PRIOR_SHARE = (0.002, 0.2)
_UPPER = 1.64
_MOST = 0.98


@dataclass(frozen=True, slots=True)
class Failing:
    """One statement that fails at one moment far more often than before its present plan.

    Attributes:
        row: its row in the newest interval.
        tick: number of the moment.
        came: row in which the present plan came.
        began: row of the first bad interval.
        first: first row of the window.
        intervals: rows of the window under the present plan.
        previous_plan_hash: the plan that ran most often before.
        score: root of twice the logarithm of the likelihood ratio.
        before: executions and failed ones before the plan came.
        now: executions, failed and aborted ones of the window.
        expected: failed ones that were to be expected there.
    """

    row: int
    tick: int
    came: int
    began: int
    first: int
    intervals: int
    previous_plan_hash: int
    score: float
    before: tuple[float, float]
    now: tuple[float, float, float]
    expected: float


@dataclass(frozen=True)
class Newest:
    """Rows of intervals that are the newest of their statement at a moment and in which executions failed.

    Attributes:
        row: int64 [n].
        tick: int64 [n], number of the moment.
    """

    row: Longs
    tick: Longs


def newest_failures(rows: Attempts, ticks_us: Longs, step_us: int, around: Around) -> Newest:
    """Failing rows of statements that were tried in the last interval of their database at a moment.

    Args:
        rows: all rows of the statements that are asked for.
        ticks_us: rising, at least a step apart [epoch microseconds].
        step_us: cadence.
        around: knows when the databases were read.
    """
    row = np.flatnonzero(rows.failed > 0)
    end = rows.end_us[row]
    tick = np.searchsorted(ticks_us, end)
    moment = np.append(ticks_us, np.iinfo(np.int64).max)[tick]
    followed = _next_ends(rows)[row] <= moment
    newest = around.newest_ends(rows.database_id[row], moment)
    chosen = (tick < len(ticks_us)) & (end > moment - step_us) & ~followed & (end > newest - step_us // 4)
    return Newest(row[chosen], tick[chosen])


def _next_ends(rows: Attempts) -> Longs:
    """End of the interval of the statement after each row, far away for the last."""
    far = np.iinfo(np.int64).max
    statement = rows.statement
    number = _interval_numbers(rows, statement)
    last = np.flatnonzero(np.append(number[1:] != number[:-1], True)) if len(number) else number
    following = np.append(last[1:], 0) if len(last) else last
    same = (statement[last] == statement[following]) & (following > last)
    return np.where(same, rows.end_us[following], far)[number - 1]


def _interval_numbers(rows: Attempts, statement: Longs) -> Longs:
    """Number of the interval of each row over all statements, from 1."""
    new = np.ones(len(rows), np.bool_)
    new[1:] = (statement[1:] != statement[:-1]) | (rows.end_us[1:] != rows.end_us[:-1])
    numbers: Longs = np.cumsum(new)
    return numbers


class FailingRule:
    """Judges statements by their recent rows.

    Args:
        rows: all rows of the statements, of the lookback before the first moment on.
        usual: bool [rows], see `with_usual_plan`.
        around: what fails around them.
        step_us / lookback_us: cadence, and how far back from a moment rows count.
    """

    def __init__(
        self, rows: Attempts, usual: NDArray[np.bool_], around: Around, step_us: int, lookback_us: int
    ) -> None:
        self.rows, self.around = rows, around
        self.step_us, self.lookback_us = step_us, lookback_us
        statement = rows.statement
        self.statement = statement
        self.interval = _interval_numbers(rows, statement)
        self._timed = TimedKeys.of(rows.end_us)
        self.by_time = self._timed.of_rows(statement, rows.end_us)
        # The same rows once more, those of one plan of a statement side by side.
        self.order = np.lexsort((rows.end_us, rows.plan_hash, statement))
        plan = rows.plan_hash[self.order]
        new = np.ones(len(rows), np.bool_)
        new[1:] = (statement[self.order][1:] != statement[self.order][:-1]) | (plan[1:] != plan[:-1])
        track = np.cumsum(new) - 1
        self.by_plan = self._timed.of_rows(track, rows.end_us[self.order])
        self.place = np.empty(len(rows), np.int64)
        self.place[self.order] = np.arange(len(rows))
        self.track = np.empty(len(rows), np.int64)
        self.track[self.order] = track
        self._voices = tuple(np.concatenate([[0], np.cumsum(values)]) for values in voices(rows, usual))

    def judge(self, newest: Newest, ticks_us: Longs) -> Iterator[Failing]:
        """What fails too often; at most one finding of a statement at a moment."""
        found: dict[tuple[int, int], Failing] = {}
        known = self.rows.plan_hash[newest.row] != 0
        for first in range(0, len(newest.row), _PARTS):
            part = slice(first, first + _PARTS)
            row, tick = newest.row[part][known[part]], newest.tick[part][known[part]]
            for one in _Cases(self, row, tick, ticks_us[tick]).found():
                key = (one.tick, int(self.statement[one.row]))
                if key not in found or one.now[1] > found[key].now[1]:
                    found[key] = one
        yield from found.values()

    def after(self, number: Longs, keys: Longs, moment_us: Longs) -> Longs:
        """First place after a moment of statements or tracks."""
        places: Longs = np.searchsorted(keys, self._timed.until(number, moment_us), "right")
        return places

    def own_voices(self, row: Longs, after_us: Longs, until_us: Longs) -> tuple[Longs, Longs]:
        """What the statements themselves add to their cells within (after, until]."""
        first = self.after(self.statement[row], self.by_time, after_us)
        end = np.maximum(self.after(self.statement[row], self.by_time, until_us), first)
        failed, tried = (sums[end] - sums[first] for sums in self._voices)
        return failed, tried


class _Cases:
    """Some points with the rows under their present plan (`now`) and those before it came (`before`)."""

    def __init__(self, rule: FailingRule, row: Longs, tick: Longs, moment_us: Longs) -> None:
        rows = rule.rows
        oldest_us = moment_us - rule.lookback_us
        came = rule.after(rule.track[row], rule.by_plan, oldest_us)
        came_us = rows.end_us[rule.order[came]]
        first = rule.after(rule.statement[row], rule.by_time, oldest_us)
        end = np.maximum(rule.after(rule.statement[row], rule.by_time, came_us - 1), first)
        # Whoever comes and goes all the time is as likely to have been away for a while as to be new.
        before = rule.interval[np.maximum(end - 1, 0)] - rule.interval[np.minimum(first, len(rows) - 1)] + 1
        since = rule.interval[row] - rule.interval[rule.order[came]] + 1
        present = np.minimum((rule.place[row] - came + 1) / since, _MOST_PRESENT)
        news = (end - first >= _LEAST_BEFORE) & (-before * np.log1p(-present) >= _SURELY_NEW)
        self.rule, self.rows = rule, rows
        self.row, self.tick, self.moment_us, self.oldest_us = (
            values[news] for values in (row, tick, moment_us, oldest_us)
        )
        self.came, self.came_us = came[news], came_us[news]
        self._first, self._end = first[news], end[news]

    def found(self) -> Iterator[Failing]:
        """Those that fail too often."""
        if not len(self.row):
            return
        owner, at = _laid_out(self._first, self._end)
        known = self.rows.plan_hash[at] != 0
        owner, at = owner[known], at[known]
        tried, failed = self.rows.tried[at], self.rows.failed[at]
        succeeded = self.sum(owner, tried - failed) > 0
        calm = self.shares_around(np.arange(len(self.row)), self.oldest_us, self.came_us - 1)
        share, upper, correlation = self._past(owner, tried, failed, np.maximum(*calm))
        before = _Before(owner, tried, failed, _is_bad(failed, tried, upper[owner]))
        now = _Now(self, upper, correlation, calm)
        done = np.zeros(len(self.row), np.bool_)
        for window in WINDOWS:
            fired = now.judged(window, share, before)
            for case in np.flatnonzero(fired.fired & succeeded & ~done).tolist():
                own = owner == case
                yield self._spelt_out(case, now, fired, float(share[case]), at[own])
            done |= fired.fired

    def _past(self, owner: Longs, tried: Floats, failed: Floats, calm: Floats) -> tuple[Floats, Floats, Floats]:
        """Share before, how high it may be, and how alike the executions of one interval end [cases]."""
        each = failed / tried
        weight = tried / (1 + (tried - 1) * _CORRELATION[0])
        total = self.sum(owner, weight) + _PRIOR_WEIGHT
        share = (self.sum(owner, weight * each) + _PRIOR_WEIGHT * np.clip(calm, *_PRIOR_SHARE)) / total
        chance = share * (1 - share)
        stray = self.sum(owner, weight * ((each - share[owner]) ** 2 - chance[owner] / tried)) / total
        correlation = np.clip(stray / chance, *_CORRELATION)
        sure = self.sum(owner, tried / (1 + (tried - 1) * correlation[owner])) + _PRIOR_WEIGHT
        return share, np.minimum(share + _UPPER * np.sqrt(chance / sure), _MOST), correlation

    def sum(self, owner: Longs, values: Floats) -> Floats:
        """Sum of the values of each case."""
        found: Floats = np.bincount(owner, values, minlength=len(self.row)).astype(np.float64)
        return found

    def shares_around(self, case: Longs, after_us: Longs, until_us: Longs) -> list[Floats]:
        """See `Around.shares`."""
        row = self.row[case]
        own = self.rule.own_voices(row, after_us, until_us)
        return self.rule.around.shares(self.rows.database_id[row], after_us, until_us, own)

    def _spelt_out(self, case: int, now: "_Now", fired: "_Fired", share: float, before: Longs) -> Failing:
        rows = self.rows
        own = np.flatnonzero(now.owner == case)
        window = own[-int(fired.intervals[case]) :]
        at, plans = now.at[window], rows.plan_hash[before]
        names, number = np.unique(plans, return_inverse=True)
        return Failing(
            row=int(self.row[case]),
            tick=int(self.tick[case]),
            came=int(now.at[own[0]]),
            began=int(now.at[own[np.argmax(now.bad[own])]]),
            first=int(at[0]),
            intervals=len(at),
            previous_plan_hash=int(names[np.argmax(np.bincount(number, rows.tried[before]))]),
            score=float(np.sqrt(2 * fired.evidence[case])),
            before=(float(rows.tried[before].sum()), float(rows.failed[before].sum())),
            now=(float(rows.tried[at].sum()), float(rows.failed[at].sum()), float(rows.aborted[at].sum())),
            expected=float((rows.tried[at] * np.minimum(share + now.rise[window], _MOST)).sum()),
        )


@dataclass(frozen=True)
class _Before:
    """Rows before the present plan came, laid out case by case, and which of them were bad."""

    owner: Longs
    tried: Floats
    failed: Floats
    bad: NDArray[np.bool_]

    def most_bad(self, window: int, present: Floats) -> Longs:
        """The most rows of each case that were bad, and not much less so than now, among so many in a row.

        Args:
            window: so many.
            present: share of failed executions now [cases].
        """
        owner, share = self.owner, np.minimum(present[self.owner], _MOST)
        like_now = self.failed * (1 - share) >= _LIKE_NOW * share * (self.tried - self.failed)
        sums = np.concatenate([[0], np.cumsum(self.bad & like_now)])
        begin = np.searchsorted(owner, np.arange(len(present)))
        place = np.arange(len(owner))
        counts = sums[place + 1] - sums[np.maximum(place + 1 - window, begin[owner])]
        most = np.zeros(len(present), np.int64)
        np.maximum.at(most, owner, counts)
        return most


@dataclass(frozen=True)
class _Fired:
    """Which cases fired over one window, its length, and the logarithm of the likelihood ratio [cases]."""

    fired: NDArray[np.bool_]
    intervals: Longs
    evidence: Floats


class _Now:
    """Rows under the present plan, laid out case by case.

    `rise` is by how much the others fail more often than before the plan came, `expected` the share that may fail.
    """

    def __init__(self, cases: _Cases, upper: Floats, correlation: Floats, calm: list[Floats]) -> None:
        rule, rows = cases.rule, cases.rows
        self._cases, self._correlation = cases, correlation
        last = rule.place[cases.row]
        self.owner, place = _laid_out(cases.came, last + 1)
        self.at = rule.order[place]
        self.tried, self.failed = rows.tried[self.at], rows.failed[self.at]
        end, moment = rows.end_us[self.at], cases.moment_us[self.owner]
        after, until = end - 3 * rule.step_us // 2, np.minimum(end + rule.step_us // 2, moment)
        shares = cases.shares_around(self.owner, after, until)
        rises = [np.maximum(now - before[self.owner], 0.0) for now, before in zip(shares, calm, strict=True)]
        self.rise = np.maximum(*rises)
        self.expected = np.minimum(upper[self.owner] + self.rise, _MOST)
        self.bad = _is_bad(self.failed, self.tried, self.expected)
        self._back = last[self.owner] - place
        self._since = place - cases.came[self.owner]

    def judged(self, window: int, share: Floats, before: _Before) -> _Fired:
        """Judge the last rows of each case, at most `window` of them."""
        add = self._cases.sum
        own = np.flatnonzero(self._back < window)
        owner, tried, failed, expected = self.owner[own], self.tried[own], self.failed[own], self.expected[own]
        length = add(owner, np.ones(len(own))).astype(np.int64)
        all_tried, all_failed = add(owner, tried), add(owner, failed)
        present, likely = all_failed / all_tried, add(owner, tried * expected) / all_tried
        bad = add(owner, self.bad[own].astype(np.float64))
        passed = (
            (bad >= _LEAST_BAD)
            & (bad >= _THAN_BEFORE * before.most_bad(window, present))
            & (add(owner, failed - tried * expected) >= _LEAST_FAILURES)
        )
        passed &= (present >= _LEAST_NOW) & (present * (1 - likely) >= _LEAST_ODDS * likely * (1 - present))
        passed &= add(owner, tried * self.rise[own]) / all_tried < _ALIKE * (present - share)
        passed &= add(self.owner, (self.bad & (self._back == 0)).astype(np.float64)) > 0
        passed &= add(self.owner, (self.bad & (self._since < _SOON)).astype(np.float64)) > 0
        passed &= self._is_no_burst(own, bad, present)
        asked = passed[owner]
        owner, tried, failed, expected = owner[asked], tried[asked], failed[asked], expected[asked]
        correlation = self._correlation[owner]
        gain = log_chance(failed, tried, np.minimum(present[owner], _MOST), correlation)
        evidence = add(owner, gain - log_chance(failed, tried, expected, correlation))
        return _Fired(passed & (evidence >= _LEAST_EVIDENCE), length, evidence)

    def _is_no_burst(self, own: Longs, bad: Floats, present: Floats) -> NDArray[np.bool_]:
        """Whether the bad intervals of a window can be no single burst [cases]; executions of a burst fail together."""
        back = np.zeros(len(bad), np.int64)
        np.maximum.at(back, self.owner[own], np.where(self.bad[own], self._back[own], 0))
        calm = self._cases.sum(self.owner, (~self.bad).astype(np.float64))
        least = int(np.clip(-(-_SPREAD_US // self._cases.rule.step_us), *_SPREAD))
        found: NDArray[np.bool_] = (calm == 0) & (present >= _AT_ONCE)
        found |= (bad >= _SPREAD_BAD) & (back + 1 >= least)
        return found


def _is_bad(failed: Floats, tried: Floats, expected: Floats) -> NDArray[np.bool_]:
    """Intervals in which the odds of failing were at least twice those to be expected."""
    found: NDArray[np.bool_] = (failed > 0) & (failed * (1 - expected) >= _BAD_ODDS * expected * (tried - failed))
    return found


def _laid_out(first: Longs, end: Longs) -> tuple[Longs, Longs]:
    """Number of the range and place of each element of several ranges, one after the other."""
    length = end - first
    owner = np.repeat(np.arange(len(first)), length)
    start = np.cumsum(length) - length
    return owner, np.arange(len(owner)) - start[owner] + first[owner]
