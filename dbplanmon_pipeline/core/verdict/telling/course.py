"""How a rise went on since its first bad interval."""

import numpy as np

from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.model import Course
from dbplanmon_pipeline.core.verdict.rules.findings import Fired


def course_of(comparison: Comparison, fired: Fired, first_bad: int) -> Course:
    """Of a finding whose rise began in row `first_bad`."""
    part = slice(first_bad, fired.row + 1)
    costs = comparison.costs[fired.metric]
    known = ~np.isnan(costs.residual[part])
    expected = np.where(known, np.maximum(costs.expected_us[part], 1.0), 1.0)
    extra = np.where(known, costs.observed_us[part] / expected - 1, 0.0)
    return Course(tuple(comparison.rows.end_us[part].tolist()), tuple(extra.tolist()))
