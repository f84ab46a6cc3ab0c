"""Which use cases get a span of OpenTelemetry: those that take a while, or change something."""

from typing import TypeVar

from dbplanmon_pipeline.telemetry import traced

USE_CASES = (
    "collect",
    "import_history",
    "analyse",
    "apply_retention",
    "maintain_store",
    "decide_alerts",
    "process_alerts",
    "rebuild_baselines",
    "rank_hotspots",
    "run_kpis",
    "suggest_remediations",
    "summarise",
    "send_summary",
)

ClassT = TypeVar("ClassT", bound=type)


def with_spans(session: ClassT) -> ClassT:
    """Put spans around the use cases of a session."""
    for name in USE_CASES:
        setattr(session, name, traced(getattr(session, name)))
    return session
