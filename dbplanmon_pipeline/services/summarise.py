"""Sum up one UTC day, or the week that ends with it, from what the store holds."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS, hotspots
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports.summary import DayWork, SummaryStore
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.summary.period import DaySummary, Load, summarise_days
from dbplanmon_pipeline.core.workload.changes import WorkloadPolicy
from dbplanmon_pipeline.core.workload.days import compared
from dbplanmon_pipeline.core.workload.quiet import QuietStatement
from dbplanmon_pipeline.services.compare_workload import NO_WORKLOAD, Workload, compare_workload, dearest_of, gone_quiet

RANKED_BY = "elapsed_time_us"
WEEK = 7
_TEXT_LIMIT = 200
_COMPARED = 500
"""Dearest statements that are held against earlier days; each takes up to 24 hours of a dozen days."""


def summarise(
    store: SummaryStore, last_day: date, top_n: int, workload: WorkloadPolicy | None = None, *, days: int = 1
) -> DaySummary:
    """The summary of one day or of several; repeating it later gives the same, but for what has closed since."""
    policy = workload or WorkloadPolicy()
    start = datetime.combine(last_day - timedelta(days=days - 1), time(), UTC)
    end = start + timedelta(days=days)
    totals, loads = [], []
    for number in range(days):
        midnight = start + timedelta(days=number)
        work = store.day_work(midnight.date())
        loads += _loads(work, midnight)
        totals.append(_totals(work))
        databases = work.databases
    frame = IntervalFrame(pd.concat(totals, ignore_index=True), dict(databases))
    ranked = [h for h in hotspots(frame, top_n=top_n) if h.rank_by == RANKED_BY]
    grown = _growth(store, frame, start, end, policy)
    quiet = _quiet(store, frame, start, end, policy) if days == 1 else []
    shown = {(h.ref, h.query_hash) for h in ranked} | {(change.ref, change.query_hash) for change in grown.changes}
    shown |= {(one.ref, one.query_hash) for one in quiet}
    texts = store.statement_texts(sorted(shown))
    return summarise_days(
        start,
        days,
        incidents=[*store.open_incidents(), *store.recent_incidents(start)],
        hotspots=ranked,
        plan_changes=store.plan_changes(start),
        kpis=store.kpi_spans(start, end),
        watches=store.watches(start, end),
        alerts=store.alert_totals(start, end),
        loads=loads,
        texts={key: one_line(statement.text, _TEXT_LIMIT) for key, statement in texts.items()},
        growth=grown.changes,
        busier=grown.instances,
        quiet=quiet,
    )


def _growth(
    store: SummaryStore, frame: IntervalFrame, start: datetime, end: datetime, policy: WorkloadPolicy
) -> Workload:
    """What was more than usual in the days, of one that is not over in the part that is."""
    newest = store.latest_interval_end()
    if newest is None or newest <= start or frame.rows.empty:
        return NO_WORKLOAD
    return compare_workload(store, dearest_of(frame)[:_COMPARED], start, min(end, newest), policy)


def _quiet(
    store: SummaryStore, frame: IntervalFrame, start: datetime, end: datetime, policy: WorkloadPolicy
) -> list[QuietStatement]:
    """Of the dearest statements of the last day of the same kind those that did not run on this one."""
    newest = store.latest_interval_end()
    if newest is None or newest <= start or frame.rows.empty:
        return []
    until = min(end, newest)
    work = store.day_work((start - timedelta(days=compared(start, until).days_back[0])).date())
    before = dearest_of(IntervalFrame(_totals(work), dict(work.databases)))[:_COMPARED]
    keys = frame.rows[["database_id", "query_hash"]].itertuples(index=False)
    running = {(frame.databases[int(number)], int(value)) for number, value in keys}
    return gone_quiet(store, before, running, start, until, policy)


def _loads(work: DayWork, midnight: datetime) -> list[Load]:
    seconds = np.bincount(work.hours, np.nan_to_num(work.totals[:, 1]), minlength=24) / 1e6
    return [Load(midnight + timedelta(hours=hour), float(value)) for hour, value in enumerate(seconds)]


def _totals(work: DayWork) -> pd.DataFrame:
    """One row per database and statement of the day, in the columns `hotspots` takes."""
    frame = pd.DataFrame(work.totals, columns=list(HOTSPOT_COLUMNS))
    frame["database_id"], frame["query_hash"] = work.database_ids, work.query_hashes
    keys = ["database_id", "query_hash"]
    return frame.groupby(keys, sort=False)[list(HOTSPOT_COLUMNS)].sum(min_count=1).reset_index()
