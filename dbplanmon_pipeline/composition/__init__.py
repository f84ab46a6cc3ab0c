"""Settings in, adapters out: the one place where ports meet their implementations.

The Dagster definitions and the command line both start here, so they run the same use cases on the same adapters.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbplanmon_pipeline.composition.monitor import Monitor, Session

__all__ = ["Monitor", "Session"]


def __getattr__(name: str) -> object:
    """Imported when asked for: a back-test of a file needs none of the adapters, which take most of a second."""
    if name in __all__:
        return getattr(import_module("dbplanmon_pipeline.composition.monitor"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
