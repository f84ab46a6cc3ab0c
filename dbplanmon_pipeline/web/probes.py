"""What lives as long as the app: the checks of the health and the figures of the metrics."""

from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request

from dbplanmon_pipeline.composition.daemon import DaemonWatch
from dbplanmon_pipeline.settings.environment import DAGSTER_HOME, variables
from dbplanmon_pipeline.telemetry import destination_of, export_figures
from dbplanmon_pipeline.web.context import WebContext
from dbplanmon_pipeline.web.fleet import cadence
from dbplanmon_pipeline.web.health.board import Board
from dbplanmon_pipeline.web.health.checks import health_checks
from dbplanmon_pipeline.web.metrics.exposition import Exposition
from dbplanmon_pipeline.web.metrics.figures import Figures
from dbplanmon_pipeline.web.metrics.telemetry import exported_figures

END_SECONDS = 0.2


class Probes:
    """Attributes: board of the checks, figures from the store, and the registry that shows both."""

    def __init__(self, context: WebContext) -> None:
        self._settings = context.settings
        self._end_export: Callable[[], None] | None = None
        home = variables().get(DAGSTER_HOME)
        daemon = DaemonWatch(Path(home).expanduser() if home else None, cadence(context.session), context.clock)
        self.figures = Figures(context)
        self.exposition = Exposition(self.figures, context.session.breaker)
        self.board = Board(health_checks(context, daemon), self.exposition.checks.observe)

    def begin(self) -> None:
        """Ask everything once: counters begin now, and the first probe need not wait."""
        self.figures.begin()
        self.board.begin()
        destination = destination_of(self._settings)
        if destination is not None:
            self._end_export = export_figures(destination, list(exported_figures(self.exposition.collector)))

    def end(self) -> None:
        """Let what is under way end, before the store is closed; what hangs is left behind."""
        if self._end_export is not None:
            self._end_export()
        self.figures.end(END_SECONDS)
        self.board.end(END_SECONDS)


def probes_of(request: Request) -> Probes:
    """The probes of the app that got this request."""
    probes: Probes = request.app.state.probes
    return probes
