"""What a session writes to the log: each job when it begins and when it ends, each target, each failure once."""

import dataclasses
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from dbplanmon_pipeline.core.kpis.rules import KpiResult
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus
from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.logs import JOBS_LOGGER, configure_package_logging, places_of
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.services.run_kpis import KpiReport
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.sections import LogFormat, LogLevel

JOBS: Mapping[str, str] = {
    "collect": "collection",
    "import_history": "history",
    "analyse": "analysis",
    "process_alerts": "alerts",
    "run_kpis": "kpis",
    "rebuild_baselines": "baselines",
    "rank_hotspots": "hotspots",
    "suggest_remediations": "suggestions",
    "summarise": "summary",
    "apply_retention": "retention",
    "maintain_store": "store_maintenance",
}
"""Methods of a session that are jobs, and how the log calls them."""

TARGETS_TOLD = 200
"""Of a larger collection, targets that were read are told at DEBUG only: a day of 2,000 would be 150 MB of log."""

RUN_ID: ContextVar[str] = ContextVar("dbplanmon_run_id", default="")
"""Id of the run this happens in; Dagster's where Dagster runs it."""

_READ = frozenset({CollectionStatus.OK, CollectionStatus.FIRST_READING, CollectionStatus.SPOOLED})
_log = logging.getLogger(JOBS_LOGGER)
_outermost: ContextVar[bool] = ContextVar("dbplanmon_outermost", default=True)

SessionT = TypeVar("SessionT")


def begin_run(settings: Settings, run_id: str) -> None:
    """Name the run in every line from here on, and see to it that the lines go somewhere."""
    RUN_ID.set(run_id)
    chosen = settings.logging
    as_json = chosen.format is LogFormat.JSON or (chosen.format is LogFormat.AUTO and not sys.stderr.isatty())
    configure_package_logging(json=as_json, level=chosen.level or LogLevel.INFO)


def journalled(session: type[SessionT]) -> type[SessionT]:
    """Let every job of a session be told in the log."""
    for method, job in JOBS.items():
        setattr(session, method, _told(job, getattr(session, method)))
    return session


def _told(job: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def told(*args: Any, **kwargs: Any) -> Any:
        with _telling(job) as facts:
            report = method(*args, **kwargs)
            facts.update(_facts_of(report))
            _tell_parts(report)
            return report

    return told


@contextmanager
def _telling(job: str) -> Iterator[dict[str, object]]:
    began, facts, outermost = time.monotonic(), dict[str, object](), _outermost.get()
    common = {"job": job, **_run()}
    _log.info("%s begins", job, extra={"event": "job_started", **common})
    inner = _outermost.set(False)
    try:
        yield facts
    except BaseException as error:
        ended: dict[str, object] = common | {"duration_ms": _ms_since(began), "error_class": type(error).__name__}
        if not isinstance(error, Exception):
            _log.warning("%s was interrupted", job, extra={"event": "job_interrupted", **ended})
        elif outermost:
            expected = isinstance(error, DbPlanMonError)
            ended |= {} if expected else {"trace": places_of(error)}
            line = str(error) if expected else type(error).__name__
            _log.error("%s failed: %s", job, line, extra={"event": "job_failed", **ended})
        raise
    finally:
        _outermost.reset(inner)
    _log.info("%s is done", job, extra={"event": "job_ended", **common, "duration_ms": _ms_since(began), **facts})


def _run() -> dict[str, object]:
    return {"run_id": RUN_ID.get()} if RUN_ID.get() else {}


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1_000, 1)


def _facts_of(report: object) -> dict[str, object]:
    """Numbers of a report, and how many of each thing it lists."""
    if not dataclasses.is_dataclass(report):
        return {}
    values = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    facts: dict[str, object] = {
        name: len(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if isinstance(value, int | float | tuple) and name != "duration_seconds"
    }
    if isinstance(report, CollectionReport):
        facts |= {"failed": len(report.failed), "skipped": len(report.skipped), "rows": report.rows}
    return facts


def _tell_parts(report: object) -> None:
    if isinstance(report, CollectionReport):
        _tell_targets(report.outcomes)
    elif isinstance(report, KpiReport):
        for result in report.results:
            _tell_kpi(result)


def _tell_targets(outcomes: Iterable[CollectionOutcome]) -> None:
    told = list(outcomes)
    usual = logging.INFO if len(told) <= TARGETS_TOLD else logging.DEBUG
    for outcome in told:
        was_read = outcome.status in _READ
        facts: dict[str, object] = {
            "event": "target_read" if was_read else "target_not_read",
            **_run(),
            "instance": outcome.ref.instance,
            "database": outcome.ref.database,
            "duration_ms": round(outcome.duration_ms, 1),
            "status": outcome.status.value,
        }
        if was_read:
            facts |= {"rows": outcome.rows, "new_plans": outcome.new_plans, "plan_changes": outcome.plan_changes}
            _log.log(usual, "%s was read", outcome.ref, extra=facts)
        else:
            facts["error_class"] = outcome.error_class
            _log.warning("%s: %s", outcome.ref, outcome.message or outcome.status.value, extra=facts)


def _tell_kpi(result: KpiResult) -> None:
    facts = {
        "event": "kpi_read",
        **_run(),
        "kpi": result.name,
        "duration_ms": round(result.duration_ms, 1),
        "status": result.state.value,
    }
    _log.info("KPI %s is %s", result.name, result.state.value, extra=facts)
