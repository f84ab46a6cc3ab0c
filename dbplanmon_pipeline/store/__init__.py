"""Our own store: SQL for all state and the hot metrics, Parquet for sealed days."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbplanmon_pipeline.store.collecting.spool import DiskSpool
    from dbplanmon_pipeline.store.opening import open_store
    from dbplanmon_pipeline.store.sql_store import SqlStore
    from dbplanmon_pipeline.store.state_files import StateFolder

__all__ = ["DiskSpool", "SqlStore", "StateFolder", "open_store"]

_MODULES = {
    "DiskSpool": "collecting.spool",
    "SqlStore": "sql_store",
    "StateFolder": "state_files",
    "open_store": "opening",
}


def __getattr__(name: str) -> object:
    """Imported when asked for: who reads recorded files needs no SQLAlchemy."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
