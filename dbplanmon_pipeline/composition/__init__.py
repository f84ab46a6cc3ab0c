"""Settings in, adapters out: the one place where ports meet their implementations.

The Dagster definitions and the command line both start here, so they run the same use cases on the same adapters.
"""

from dbplanmon_pipeline.composition.monitor import Monitor, Session

__all__ = ["Monitor", "Session"]
