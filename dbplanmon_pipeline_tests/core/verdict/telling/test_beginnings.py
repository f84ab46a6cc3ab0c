"""Where many rises began is where each of them did."""

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.normal.dear import DearRows
from dbplanmon_pipeline.core.verdict.rows.windows import CostRows
from dbplanmon_pipeline.core.verdict.rules.findings import Fired
from dbplanmon_pipeline.core.verdict.telling.beginnings import STILL_ELEVATED, first_bad_rows

METRICS = ("elapsed_time_us", "worker_time_us")
ROWS = 900


def comparison(rng, unknown):
    costs, dear = {}, {}
    for metric in METRICS:
        residual = rng.normal(0, 0.3, ROWS) + np.repeat(rng.integers(0, 2, ROWS // 30), 30)
        residual[rng.random(ROWS) < unknown] = np.nan
        costs[metric] = CostRows(residual, np.ones(ROWS), np.ones(ROWS))
        dear[metric] = DearRows(np.arange(0, ROWS, 4), np.ones(ROWS // 4))
    return Comparison(None, None, {}, costs, {}, {}, {}, {}, dear)


def findings(rng, number):
    row = rng.integers(300, ROWS, number).tolist()
    intervals = rng.choice([3, 6, 12, 36, 144, 288], number).tolist()
    before = rng.integers(0, 12, number).tolist()
    kinds = zip(rng.choice(METRICS, number).tolist(), (rng.random(number) < 0.1).tolist(), strict=True)
    return [
        Fired(last, last + 1 - length - more, 0, metric, length, 9.0, 0.1, 2.0, 5.0, whole)
        for last, length, more, (metric, whole) in zip(row, intervals, before, kinds, strict=True)
    ]


def first_bad_row(compared, fired):
    """The same of one finding, as one would look for it."""
    start = fired.row + 1 - fired.intervals
    if fired.whole:
        dear = compared.dear[fired.metric].row
        return int(dear[np.searchsorted(dear, start)])
    residual = compared.costs[fired.metric].residual[fired.oldest : fired.row + 1]
    above = STILL_ELEVATED * max(float(np.nanmean(residual[start - fired.oldest :])), 0.0)
    calm = ~(residual > above)
    gaps = (calm[1:] & calm[:-1]).nonzero()[0]
    begin = int(gaps[-1]) + 2 if len(gaps) else 0
    bad = int(calm[begin:].argmin()) if begin < len(calm) else 0
    return fired.oldest + begin + bad if begin < len(calm) and not calm[begin + bad] else start


@pytest.mark.parametrize("unknown", [0.0, 0.1])
def test_many_begin_where_each_does(unknown):
    rng = np.random.default_rng(8)
    compared, every = comparison(rng, unknown), findings(rng, 600)
    assert any(fired.whole for fired in every)
    assert first_bad_rows(compared, every).tolist() == [first_bad_row(compared, fired) for fired in every]


def test_nothing_that_fired_begins_nowhere():
    assert len(first_bad_rows(comparison(np.random.default_rng(1), 0.0), [])) == 0
