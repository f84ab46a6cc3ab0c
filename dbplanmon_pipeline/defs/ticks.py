"""Ticks that need the store, while it is away."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import dagster as dg

from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.errors import StoreError

ContextT = TypeVar("ContextT")
ResultT = TypeVar("ResultT")

_LONGEST = 400


def skips_without_store(evaluate: Callable[[ContextT], ResultT]) -> Callable[[ContextT], ResultT | dg.SkipReason]:
    """Skip a tick of a sensor or schedule with one clear reason instead of failing it.

    A sensor ticks every few seconds: an outage would fill the UI with tracebacks that say nothing more. Its cursor
    stays, so that nothing is left out; runs go on to fail, and the health to tell of it.
    """

    @wraps(evaluate)
    def evaluated(context: ContextT) -> ResultT | dg.SkipReason:
        try:
            return evaluate(context)
        except StoreError as error:
            return dg.SkipReason(one_line(f"nothing can be known while the store is away: {error}", _LONGEST))

    return evaluated
