"""The store as the rest of the house knows it."""

from pathlib import Path

from dbplanmon_pipeline.core.ports import Clock, SchemaDowngrade, SchemaStatus
from dbplanmon_pipeline.store.access import AccessPart
from dbplanmon_pipeline.store.alerts.decisions import AlertDecisionPart
from dbplanmon_pipeline.store.alerts.deliveries import DeliveryPart
from dbplanmon_pipeline.store.alerts.mutes import MutePart
from dbplanmon_pipeline.store.alerts.queue import AlertPart
from dbplanmon_pipeline.store.baselines import BaselinePart
from dbplanmon_pipeline.store.collecting.collection import CollectionPart
from dbplanmon_pipeline.store.collecting.facts import FactPart
from dbplanmon_pipeline.store.collecting.history import HistoryPart
from dbplanmon_pipeline.store.collecting.statements import StatementPart
from dbplanmon_pipeline.store.deployments import DeploymentPart
from dbplanmon_pipeline.store.engine import Database
from dbplanmon_pipeline.store.incidents import IncidentPart
from dbplanmon_pipeline.store.intervals.archive import open_archive
from dbplanmon_pipeline.store.intervals.export import ExportPart
from dbplanmon_pipeline.store.kpis import KpiPart
from dbplanmon_pipeline.store.pages.day_summaries import DaySummaryPart
from dbplanmon_pipeline.store.pages.figures import FigurePart
from dbplanmon_pipeline.store.pages.fleet import PagePart
from dbplanmon_pipeline.store.pages.lists import PageListPart
from dbplanmon_pipeline.store.pages.statements import StatementPagePart
from dbplanmon_pipeline.store.pages.workload_hours import WorkloadPart
from dbplanmon_pipeline.store.retention.purging import PurgingPart
from dbplanmon_pipeline.store.retention.upkeep import UpkeepPart


class SqlStore(
    CollectionPart,
    HistoryPart,
    FactPart,
    DeploymentPart,
    StatementPart,
    BaselinePart,
    IncidentPart,
    AlertPart,
    AlertDecisionPart,
    MutePart,
    AccessPart,
    KpiPart,
    DeliveryPart,
    PurgingPart,
    UpkeepPart,
    DaySummaryPart,
    PagePart,
    PageListPart,
    StatementPagePart,
    WorkloadPart,
    FigurePart,
    ExportPart,
):
    """Satisfies `core.ports.Store` on SQLite and PostgreSQL; safe for threads and processes.

    Nothing is opened before the first use, and nothing is created but by `upgrade`.
    """

    def __init__(self, url: str, archive: str | None, clock: Clock) -> None:
        database = Database(url)
        if archive is None and database.path is not None:
            archive = str(Path(database.path).parent / "archive")
        ExportPart.__init__(self, database, clock, open_archive(archive) if archive else None)

    @property
    def url(self) -> str:
        """Where the store is, without secrets."""
        return str(self._database)

    def schema_status(self) -> SchemaStatus:
        """What is there; never changes anything."""
        from dbplanmon_pipeline.store.upgrade import schema_status  # noqa: PLC0415 - alembic takes 0.3 s to import

        return schema_status(self._database)

    def upgrade(self) -> SchemaStatus:
        """Bring the schema to this program's version; safe to repeat and to run twice at a time."""
        from dbplanmon_pipeline.store.upgrade import upgrade  # noqa: PLC0415 - alembic takes 0.3 s to import

        return upgrade(self._database)

    def downgrade(self, revision: str = "base", *, dry_run: bool = False) -> SchemaDowngrade:
        """Take the schema back to a revision; `base` removes every table and all data."""
        from dbplanmon_pipeline.store.downgrade import downgrade  # noqa: PLC0415 - alembic takes 0.3 s to import

        return downgrade(self._database, revision, dry_run=dry_run)

    def close(self) -> None:
        """Give back connections."""
        self._database.close()
