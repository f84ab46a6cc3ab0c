"""The report of a back-test: what would have been said when, how good that was, and how two settings differ."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import (
    cost_words,
    duration_words,
    hash_words,
    moment_words,
    ratio_words,
    seconds_words,
)
from dbplanmon_pipeline.core.readings.failures import share_words
from dbplanmon_pipeline.core.records import place
from dbplanmon_pipeline.reports.backtest_charts import METRICS, curve_chart, days_chart
from dbplanmon_pipeline.services.backtest import BacktestReport, Notification
from dbplanmon_pipeline.services.backtest_comparison import Comparison
from dbplanmon_pipeline.services.backtest_scores import Found, Score
from dbplanmon_pipeline.services.backtested import Backtested, Side
from dbplanmon_pipeline.web.foreign_text import shown

MOST_ROWS = 1_000
"""Alerts in one table; the CSV has all."""

_PACKAGE = "dbplanmon_pipeline.reports"
_STYLES = ("base.css", "parts.css", "charts.css")
LABELS = {
    "plan_regression": "plan regression",
    "failing_executions": "executions fail",
    "parameter_sensitivity": "parameter sensitivity",
    "data_growth": "more work per execution",
    "contention": "contention",
    "database_slowdown": "slow database",
    "instance_slowdown": "slow instance",
    "unknown": "unknown cause",
}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert as cells of a table."""

    raised_at: str
    where: str
    statement: str
    label: str
    severity: str
    metric: str
    before: str
    after: str
    ratio: str
    extra: str
    lasted: str


def backtest_page(found: Backtested, *, source: str, against: str = "") -> str:
    """The whole page as HTML.

    Args:
        found: with curves where charts are wanted.
        source: name of the record.
        against: name of the other settings.
    """
    names = ["these settings", *([against or "other settings"] if found.against else [])]
    reports = [side.report for side in found.sides]
    return (
        _environment()
        .get_template("backtest.html")
        .render(
            styles=_styles(),
            source=source,
            report=found.main.report,
            sides=[_side(name, side) for name, side in zip(names, found.sides, strict=True)],
            days=days_chart(reports, names),
            differences=_differences(found),
            settings=found.main.settings,
            comparison=_comparison(found.comparison) if found.comparison else None,
            other=names[-1],
            alerts=_rows(found.main.report.notifications),
            left_out=max(0, len(found.main.report.notifications) - MOST_ROWS),
            curves=_curves(found),
        )
    )


def _side(name: str, side: Side) -> dict[str, object]:
    return {
        "name": name,
        "alerts": len(side.report.notifications),
        "instances": sum(one.incident.scope is not IncidentScope.QUERY for one in side.report.notifications),
        "by_severity": _counted(side.report, "severity"),
        "by_label": {LABELS.get(label, label): number for label, number in _counted(side.report, "label").items()},
        "score": side.score,
        "tables": _tables(side.score) if side.score else [],
    }


def _counted(report: BacktestReport, name: str) -> dict[str, int]:
    counts = Counter(str(getattr(one.incident, name)) for one in report.notifications)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _tables(score: Score) -> list[tuple[str, Mapping[str, Found]]]:
    everything = {"all": score.regressions, "worth a message": score.worth, "from 10 s per hour": score.material}
    return [
        ("Regressions", everything),
        ("By size", score.by_size),
        ("By kind", score.by_kind),
        ("Instances", {"slow instances and databases": score.instances}),
    ]


def _differences(found: Backtested) -> list[tuple[str, str, str]]:
    if found.against is None:
        return []
    other = found.against.settings
    return [(key, value, other.get(key, "")) for key, value in found.main.settings.items() if other.get(key) != value]


def _comparison(found: Comparison) -> dict[str, object]:
    moved = sorted((pair for pair in found.both if pair.delay), key=lambda pair: -abs(pair.delay))
    return {
        "both": len(found.both),
        "earlier": found.earlier,
        "later": found.later,
        "only": [("these settings", found.only_first), ("", found.only_second)],
        "only_rows": [_rows(found.only_first), _rows(found.only_second)],
        "moved": [(_row(pair.first), _moved(pair.delay.total_seconds())) for pair in moved[:MOST_ROWS]],
    }


def _moved(seconds: float) -> str:
    return f"{duration_words(abs(seconds))} {'later' if seconds > 0 else 'earlier'}"


def _rows(notifications: tuple[Notification, ...]) -> list[AlertRow]:
    return [_row(one) for one in notifications[:MOST_ROWS]]


def _row(one: Notification) -> AlertRow:
    incident = one.incident
    is_query = incident.scope is IncidentScope.QUERY
    return AlertRow(
        raised_at=moment_words(one.raised_at),
        where=place(incident),
        statement=hash_text(incident.query_hash),
        label=LABELS.get(incident.label.value, incident.label.value),
        severity=incident.severity.value,
        metric=METRICS.get(incident.metric, incident.metric),
        before=_cost(incident, incident.baseline_us, "share_before") if is_query else "",
        after=_cost(incident, incident.observed_us, "share") if is_query else "",
        ratio=ratio_words(incident.effect_ratio),
        extra=seconds_words(incident.extra_seconds_per_hour),
        lasted=duration_words((one.ended_at - one.raised_at).total_seconds()) if one.ended_at else "to the end",
    )


def _cost(incident: Incident, cost_us: float, share: str) -> str:
    return share_words(getattr(incident.failing, share)) if incident.failing else cost_words(cost_us)


def _curves(found: Backtested) -> list[dict[str, object]]:
    """Charts of the main side, and of what only the other one says."""
    told: dict[Notification, datetime] = {}
    only: set[Notification] = set()
    if found.comparison:
        told = {pair.first: pair.second.raised_at for pair in found.comparison.both}
        only = set(found.comparison.only_second)
    charts = [(curve, "") for curve in found.main.curves]
    charts += [
        (curve, "other") for curve in (found.against.curves if found.against else ()) if curve.notification in only
    ]
    return [
        {
            "row": _row(curve.notification),
            "is_other": whose == "other",
            "evidence": curve.notification.incident.evidence,
            "chart": curve_chart(curve, f"curve{number}", told.get(curve.notification)),
        }
        for number, (curve, whose) in enumerate(charts)
    ]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment_words, "hash": hash_words, "share": _share, "number": _number}
    return environment


@cache
def _styles() -> Markup:
    """Those of the status page, so that charts look the same, and a few of its own."""
    own = (files(_PACKAGE) / "backtest.css").read_text("utf-8")
    shared = files("dbplanmon_pipeline.web") / "static"
    texts = [*((shared / name).read_text("utf-8") for name in _STYLES), own]
    return Markup("\n".join(texts))  # noqa: S704 - our own files


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")
