"""The figures at one moment: read from the store once for everybody who asks within a few seconds."""

import logging
import threading
from dataclasses import dataclass, replace
from datetime import datetime

from dbplanmon_pipeline.composition.channels import channel_names
from dbplanmon_pipeline.core.kpis.health import KpiStatus
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.figures import DatabaseState, StoreFigures
from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.web.context import WebContext
from dbplanmon_pipeline.web.fleet import watched_databases
from dbplanmon_pipeline.web.held import Answer, Held
from dbplanmon_pipeline.web.metrics.counters import Counters
from dbplanmon_pipeline.web.metrics.labels import NAMED

KEEP_SECONDS = 2.0
WAIT_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the store told.

    Attributes:
        at: when, aware UTC.
        up: false where it could not be read; the rest is then as it was before.
        databases: those that should be read.
        busiest: those with labels of their own.
        store: None before the first time it could be read.
    """

    at: datetime
    up: bool
    databases: tuple[DatabaseState, ...] = ()
    busiest: tuple[DatabaseRef, ...] = ()
    store: StoreFigures | None = None
    kpis: tuple[KpiStatus, ...] = ()


class Figures:
    """Counters since the process began, and the newest snapshot."""

    def __init__(self, context: WebContext) -> None:
        self.counters = Counters()
        self.lock = threading.Lock()
        self._context = context
        self._last: Snapshot | None = None
        self._held: Held[Snapshot] = Held("figures", self._read, keep_seconds=KEEP_SECONDS)

    def begin(self) -> None:
        """Look at the logs now, so that what happens from now on counts."""
        self._held.ask()

    def end(self, wait_seconds: float) -> None:
        """Wait a moment for a reading under way, before the store is closed."""
        self._held.settle(wait_seconds)

    async def get(self) -> Answer[Snapshot] | None:
        """The snapshot of now; an older one where the store does not answer in time, None where it never did."""
        return await self._held.get(WAIT_SECONDS, stale_seconds=0.0)

    @property
    def newest(self) -> Answer[Snapshot] | None:
        """The newest snapshot, however old; asks for a newer one."""
        if not self._held.is_fresh():
            self._held.ask()
        return self._held.answer

    def _read(self) -> Snapshot:
        now = self._context.clock()
        try:
            self._last = self._read_store(now)
        except DbPlanMonError as error:
            if self._last is None or self._last.up:
                _log.warning("no figures: %s", error, extra={"event": "figures_not_read"})
            self._last = replace(self._last or Snapshot(now, False), at=now, up=False)
        return self._last

    def _read_store(self, now: datetime) -> Snapshot:
        session = self._context.session
        store = session.store
        busiest = store.busiest_databases(NAMED)
        databases = watched_databases(session, store.database_states())
        figures = store.store_figures(now)
        kpis = session.kpi_status()
        # Those who read the counters meanwhile see all of a step or nothing of it.
        with self.lock:
            instances = [ref.instance for ref in busiest] + [state.ref.instance for state in databases]
            self.counters.know(dict.fromkeys(instances), channel_names(session.settings))
            self.counters.advance(store, now)
        return Snapshot(now, True, tuple(databases), tuple(busiest), figures, tuple(kpis))
