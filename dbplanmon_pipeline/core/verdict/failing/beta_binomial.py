"""How likely a count is where the executions of one interval end alike."""

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats


def log_chance(failed: Floats, tried: Floats, share: Floats, correlation: Floats) -> Floats:
    """Logarithm of the beta-binomial chance of a count, but for the part that does not depend on the share."""
    size = 1 / correlation - 1
    fails, succeeds = share * size, (1 - share) * size
    found = log_gamma(failed + fails) + log_gamma(tried - failed + succeeds) - log_gamma(tried + size)
    return found - log_gamma(fails) - log_gamma(succeeds) + log_gamma(size)


def log_gamma(values: Floats) -> Floats:
    """Stirling's series, after the argument was raised to where it holds to 10 digits."""
    raised = values + 6.0
    product = values.copy()
    for step in range(1, 6):
        product *= values + step
    inverse = 1 / raised
    series = inverse * (1 / 12 - inverse**2 * (1 / 360 - inverse**2 / 1260))
    found: Floats = (raised - 0.5) * np.log(raised) - raised + 0.5 * np.log(2 * np.pi) + series - np.log(product)
    return found
