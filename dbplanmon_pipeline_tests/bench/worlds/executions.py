"""What single executions cost, as multiples of their mean."""

import math
from collections.abc import Callable

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats

Shape = Callable[[np.random.Generator, int], Floats]
"""Draws a number of costs with mean 1."""


def lognormal(sigma: float) -> Shape:
    """Logarithms are normal."""
    return lambda rng, number: rng.lognormal(-sigma * sigma / 2, sigma, number)


def gamma(shape: float) -> Shape:
    """Below 1 most executions cost next to nothing."""
    return lambda rng, number: rng.gamma(shape, 1 / shape, number)


def weibull(shape: float) -> Shape:
    """Below 1 the tail is longer than exponential."""
    mean = math.gamma(1 + 1 / shape)
    return lambda rng, number: rng.weibull(shape, number) / mean


def pareto(tail: float) -> Shape:
    """A power law; below 2 single executions have no variance. `tail` is above 1."""
    return lambda rng, number: (1 + rng.pareto(tail, number)) * (tail - 1) / tail


def zero_inflated(share: float) -> Shape:
    """All but `share` cost nothing at all, the others an exponential multiple."""
    return lambda rng, number: rng.exponential(1 / share, number) * (rng.random(number) < share)


def two_modes(share: float, times: float) -> Shape:
    """A share of them costs so many times what the others do, each a little more or less."""
    mean = 1 + share * (times - 1)
    spread = lognormal(0.3)
    return lambda rng, number: np.where(rng.random(number) < share, times, 1.0) / mean * spread(rng, number)
