"""The daily summary: a page in the UI and in the state folder, and a message to every channel that wants it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from dbplanmon_pipeline.composition.monitor import Session
from dbplanmon_pipeline.core.summary.pages import PICTURES, summary_html, summary_markdown
from dbplanmon_pipeline.core.summary.period import DaySummary
from dbplanmon_pipeline.defs.daily import DayResult, by_day, daily_asset, days_of
from dbplanmon_pipeline.defs.naming import Names
from dbplanmon_pipeline.defs.summary_files import page_path, remove_pages, write_page
from dbplanmon_pipeline.defs.summary_pictures import summary_pictures
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.services.summarise import WEEK

FOLDER = "summaries"
SUNDAY = 6


@dataclass(frozen=True, slots=True)
class _Made:
    """One summary and what became of it."""

    summary: DaySummary
    pictures: Mapping[str, str]
    page: Path
    queued: int


def summary_asset(names: Names) -> dg.AssetsDefinition:
    """`daily_summary`; a backfill of many days is one run and sends nothing but yesterday's."""

    @daily_asset(
        names,
        "daily_summary",
        ("regressions", "hotspots", "plan_changes"),
        "The day in one page: incidents, KPIs, plan changes, dearest statements, and how well we watched.",
    )
    def daily_summary(context: dg.AssetExecutionContext) -> DayResult:
        monitor = names.monitor(context)
        settings = monitor.settings
        folder = settings.state_dir / FOLDER
        with monitor.session() as session:
            days = [_make(session, folder, day, 1) for day in days_of(context)]
            sundays = [day for day in days_of(context) if settings.summary.weekly and day.weekday() == SUNDAY]
            weeks = [_make(session, folder, day, WEEK) for day in sundays]
        oldest = (monitor.clock() - settings.summary.keep).date()
        remove_pages(folder, oldest, keep=[made.page for made in (*days, *weeks)])
        result = by_day(context, [_facts(made) for made in days])
        shown = {**_page(days[-1], "page"), **(_page(weeks[-1], "week") if weeks else {})}
        return result._replace(metadata={**(result.metadata or {}), **shown})

    return daily_summary


def _make(session: Session, folder: Path, day: date, days: int) -> _Made:
    summary = session.summarise(day, days=days)
    pictures = summary_pictures(summary)
    # First the message: a full disk keeps nobody from hearing of the day.
    queued = session.send_summary(summary, pictures)
    page = page_path(folder, day, days)
    try:
        write_page(page, summary_html(summary, {name: _inline(png) for name, png in pictures.items()}))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StoreError(f"{page.absolute()} cannot be written: {why}; check the state folder") from error
    return _Made(summary, pictures, page, queued)


def _inline(png: str) -> str:
    return f"data:image/png;base64,{png}"


def _facts(made: _Made) -> dict[str, str | int]:
    found = made.summary
    return {
        "grade": found.grade.value,
        "opened": len(found.opened),
        "closed": len(found.closed),
        "ongoing": len(found.ongoing),
        "plan_changes": len(found.plan_changes),
        "kpis_breached": sum(kpi.breaches > 0 for kpi in found.kpis),
        "databases_read": found.databases_read,
        "messages_queued": made.queued,
    }


def _page(made: _Made, name: str) -> dict[str, Any]:
    shown = "\n\n".join(f"![{PICTURES[what]}]({_inline(png)})" for what, png in made.pictures.items())
    return {
        name: dg.MetadataValue.md(summary_markdown(made.summary)),
        f"{name}_file": dg.MetadataValue.path(made.page.absolute()),
        **({f"{name}_pictures": dg.MetadataValue.md(shown)} if shown else {}),
    }
