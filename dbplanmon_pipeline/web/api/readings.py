"""How the newest reading of a database ended."""

from dbplanmon_pipeline.core.ports.page_lists import ReadingRow
from dbplanmon_pipeline.core.records import Record


def reading_record(reading: ReadingRow) -> Record:
    """In the keys of `dbplanmon collect --json`, as far as the store keeps them."""
    return {
        "target": str(reading.ref),
        "started_at": reading.started_at,
        "status": reading.status,
        "error_class": reading.error_class,
        "message": reading.message,
        "rows": reading.rows,
        "gap_seconds": reading.gap_seconds,
        "lag_seconds": reading.lag_seconds,
        "duration_ms": round(reading.duration_ms, 1),
        "cost_ms": reading.cost_ms,
    }
