"""Contract: whatever arrives for one statement, plan and interval, and whenever, the store holds its sum."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, IntervalRows
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, NOON, SALES, late_rows, rows, us

SQUARES = [name for name in COUNTERS if name.endswith("_sumsq")]
SUMS = [name for name in COUNTERS if name not in SQUARES]
MINIMA = [name for name in EXTREMA if name.endswith("_min")]
MAXIMA = [name for name in EXTREMA if name not in MINIMA]
KEY = ["query_hash", "plan_hash", "interval_start_us"]


def random_rows(random: np.random.Generator, count: int) -> IntervalRows:
    """Few keys, so that most of them meet; a third of the figures unknown, one column never known."""
    start = us(NOON) + random.integers(0, 3, count) * us_of(FIVE_MINUTES)
    values = random.integers(1, 1000, (count, len(COUNTERS))).astype(float)
    extrema = random.integers(1, 1000, (count, len(EXTREMA))).astype(float)
    values[random.random(values.shape) < 0.33] = np.nan
    extrema[random.random(extrema.shape) < 0.33] = np.nan
    values[:, COUNTERS.index("wait_time_us")] = np.nan
    return IntervalRows(
        query_hash=random.integers(-2, 3, count),
        plan_hash=random.integers(0, 2, count) * 7,
        interval_start_us=start,
        interval_end_us=start + random.integers(1, 4, count) * us_of(FIVE_MINUTES),
        values=values,
        extrema=extrema,
        counter_reset=random.random(count) < 0.2,
    )


def us_of(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def table_of(work: IntervalRows) -> pd.DataFrame:
    columns = {name: getattr(work, name) for name in (*KEY, "interval_end_us", "counter_reset")}
    return pd.DataFrame(
        {**columns, **dict(zip(COUNTERS, work.values.T)), **dict(zip(EXTREMA, work.extrema.T))}  # noqa: B905
    )


def summed(parts: list[IntervalRows]) -> pd.DataFrame:
    """The same by other means: groups of pandas."""
    groups = pd.concat([table_of(part) for part in parts]).groupby(KEY)
    every_known = {name: groups[name].apply(lambda group: group.notna().all()) for name in (*COUNTERS, *EXTREMA)}
    columns = {"interval_end_us": groups["interval_end_us"].max(), "counter_reset": groups["counter_reset"].any()}
    columns |= {name: groups[name].sum(min_count=1) for name in SUMS}
    columns |= {name: groups[name].sum().where(every_known[name]) for name in SQUARES}
    columns |= {name: groups[name].min().where(every_known[name]) for name in MINIMA}
    columns |= {name: groups[name].max().where(every_known[name]) for name in MAXIMA}
    return pd.DataFrame(columns).reset_index()


def assert_stored(store: SqlStore, parts: list[IntervalRows]) -> None:
    found = store.interval_frame(NOON, NOON + timedelta(hours=6)).rows
    expected = summed(parts)
    pd.testing.assert_frame_equal(
        found.sort_values(KEY, ignore_index=True)[list(expected.columns)], expected, check_dtype=False
    )


@pytest.mark.parametrize("seed", range(6))
def test_random_rows_in_random_batches_are_the_sum_by_key(store: SqlStore, seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [random_rows(random, int(count)) for count in random.integers(1, 40, 5)]
    for number, part in enumerate(parts):
        store.record([late_rows(SALES, NOON + timedelta(seconds=number), part)])
    assert_stored(store, parts)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_come_before_and_after_sealing_are_the_sum_by_key(store: SqlStore, seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [random_rows(random, 25) for _ in range(4)]
    for number, part in enumerate(parts):
        store.record([late_rows(SALES, NOON + timedelta(seconds=number), part)])
        if number != 2:
            store.seal_day(NOON.date())
    assert_stored(store, parts)


def test_row_added_while_its_day_is_being_sealed_is_not_lost(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves the number of rows as it was, so the sealing has to notice it otherwise."""
    work = rows(NOON, NOON + FIVE_MINUTES, [1])
    store.record([late_rows(SALES, NOON, work)])
    write_day, attempts = store._write_day, []

    def write_slowly(day, writer):
        seen = write_day(day, writer)
        if not attempts:
            store.record([late_rows(SALES, NOON + timedelta(seconds=1), work)])
        attempts.append(day)
        return seen

    monkeypatch.setattr(store, "_write_day", write_slowly)
    store.seal_day(NOON.date())
    assert len(attempts) == 2
    assert store.interval_frame(NOON, NOON + FIVE_MINUTES).rows["execution_count"].tolist() == [20]
