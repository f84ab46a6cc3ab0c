"""Stretches of time and figures that pages let people choose by a link."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.exceptions import HTTPException

from dbplanmon_pipeline.core.plain_words import cost_words
from dbplanmon_pipeline.web.pages.words import METRICS

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

PERIODS: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "365d": ("Last year", timedelta(days=365)),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch that ends now.

    Attributes:
        width: what one point of its chart stands for; 0 for one reading.
    """

    key: str
    words: str
    length: timedelta
    width: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of statements.

    Attributes:
        column: of interval rows.
        per_execution: false for what is counted by itself.
        words: how a value reads.
    """

    key: str
    title: str
    column: str
    words: Callable[[float], str]
    per_execution: bool = True

    @property
    def unit(self) -> str:
        """What a chart of it shows."""
        return f"{self.title} per execution" if self.per_execution else self.title


@dataclass(frozen=True, slots=True)
class Option:
    """One link of a switch."""

    words: str
    path: str
    is_chosen: bool


def megabytes_words(size: int) -> str:
    """`340 MB`, `1.2 GB`; below one, with a digit behind the point."""
    megabytes = size / 1e6
    if megabytes >= 1_000:
        return f"{megabytes / 1_000:,.1f} GB"
    return f"{megabytes:,.0f} MB" if megabytes >= 10 else f"{megabytes:,.1f} MB"


def count_words(count: float) -> str:
    """`12,300`; `unknown` where nobody knows."""
    if count != count:  # noqa: PLR0124 - NaN
        return "unknown"
    return f"{count:,.0f}" if abs(count) >= 99.5 or count == int(count) else f"{count:,.3g}"


METRIC_CHOICES: Mapping[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("cpu", METRICS["worker_time_us"], "worker_time_us", cost_words),
        Metric("elapsed", METRICS["elapsed_time_us"], "elapsed_time_us", cost_words),
        Metric("reads", "logical reads", "logical_reads_pages", count_words),
        Metric("executions", "executions", "execution_count", count_words, per_execution=False),
    )
}


def chosen_span(spans: Sequence[Span], text: str) -> Span:
    """The one of this key; the first where none is named.

    Raises:
        HTTPException: 400, there is no such one.
    """
    if not text:
        return spans[0]
    for span in spans:
        if span.key == text:
            return span
    raise HTTPException(400, f"the span is one of {', '.join(span.key for span in spans)}, not {text[:40]!r}")


def chosen_metric(text: str, default: str, known: Sequence[str] = tuple(METRIC_CHOICES)) -> Metric:
    """The one of this key.

    Raises:
        HTTPException: 400, there is no such one.
    """
    if (text or default) not in known:
        raise HTTPException(400, f"the metric is one of {', '.join(known)}, not {text[:40]!r}")
    return METRIC_CHOICES[text or default]
