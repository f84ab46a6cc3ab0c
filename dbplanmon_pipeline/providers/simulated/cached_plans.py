"""The plan cache of a simulated database, as sys.dm_exec_query_stats shows it."""

from typing import Protocol

import numpy as np

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.readings.counters import EXTREMA, Floats, Longs
from dbplanmon_pipeline.core.readings.plan_cache import TOTALS as CACHE_TOTALS
from dbplanmon_pipeline.core.readings.plan_cache import PlanCacheStats
from dbplanmon_pipeline.providers.simulated.faults import REGRESSED_PLAN
from dbplanmon_pipeline.providers.simulated.recorded_rows import GRANT_PAGES, LARGE_GRANT_PAGES, PARALLEL_DOP
from dbplanmon_pipeline.providers.simulated.stretches import AT, Layout, StretchWork, counters_of

_PAGE_KB = 8
_TAKEN = [AT[name] for name in CACHE_TOTALS if name in AT]
_FILLED = [column for column, name in enumerate(CACHE_TOTALS) if name in AT]
_EXTREME = {name: column for column, name in enumerate(EXTREMA)}


class CachingDatabase(Protocol):
    """What the rows are made from."""

    @property
    def parts(self) -> Layout:
        """The stretches."""
        ...

    @property
    def work(self) -> StretchWork:
        """Their work."""
        ...

    @property
    def creations(self) -> tuple[str, ...]:
        """Name of the life each stretch lies in."""
        ...


def cached_plans(database: CachingDatabase, now_us: int) -> PlanCacheStats:
    """Every plan that was compiled in the present life of the cache."""
    parts = database.parts
    life = parts.life_at(now_us)
    chosen = np.flatnonzero((parts.life == life) & (parts.start_us <= now_us)) if life is not None else _NONE
    if not len(chosen):
        return PlanCacheStats.of_rows([])
    executions = database.work.executions(np.array([now_us], np.int64), chosen)[0]
    each = database.work.totals(executions, chosen)
    begins, _ = counters_of(parts, chosen)
    totals = np.zeros((len(begins), len(CACHE_TOTALS)))
    totals[:, _FILLED] = np.add.reduceat(each[:, _TAKEN], begins, axis=0)
    first = chosen[begins]
    return PlanCacheStats(
        counter=tuple(
            f"{hash_text(query)}:{hash_text(plan)}"
            for query, plan in zip(parts.query_hash[first].tolist(), parts.plan_hash[first].tolist(), strict=True)
        ),
        created=tuple(database.creations[row] for row in first.tolist()),
        age_us=now_us - parts.start_us[first],
        query_hash=parts.query_hash[first],
        plan_hash=parts.plan_hash[first],
        totals=totals,
        extrema=_extrema(database, executions, chosen, begins),
    )


def creation_text(parts: Layout) -> tuple[str, ...]:
    """Start of the server and moment of the compilation, as the server writes them, per stretch."""
    begins, _ = counters_of(parts, np.arange(len(parts)))
    own = np.repeat(begins, np.diff([*begins.tolist(), len(parts)]))
    moments = {moment: f"{from_epoch_us(moment):%Y-%m-%dT%H:%M:%S.%f}" for moment in set(parts.start_us.tolist())}
    boots = [f"{from_epoch_us(life.boot_us):%Y-%m-%dT%H:%M:%S}" for life in parts.lives]
    return tuple(
        f"{boots[life]} {moments[start]}"
        for life, start in zip(parts.life[own].tolist(), parts.start_us[own].tolist(), strict=True)
    )


_NONE = np.empty(0, np.int64)


def _extrema(database: CachingDatabase, executions: Longs, chosen: Longs, begins: Longs) -> Floats:
    low, high = database.work.bounds(np.zeros_like(executions), np.maximum(executions, 1), chosen)
    heavy = database.parts.plan[chosen[begins]] == REGRESSED_PLAN
    extrema = np.full((len(begins), len(EXTREMA)), np.nan)
    for name, mean in (("elapsed", database.work.elapsed_us[chosen]), ("worker", database.work.worker_us[chosen])):
        extrema[:, _EXTREME[f"{name}_time_us_min"]] = np.floor(np.minimum.reduceat(low * mean, begins))
        extrema[:, _EXTREME[f"{name}_time_us_max"]] = np.ceil(np.maximum.reduceat(high * mean, begins))
    extrema[:, _EXTREME["memory_grant_kb_max"]] = np.where(heavy, LARGE_GRANT_PAGES, GRANT_PAGES) * _PAGE_KB
    extrema[:, _EXTREME["dop_max"]] = np.where(heavy, PARALLEL_DOP, 1)
    return extrema
