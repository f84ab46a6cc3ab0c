"""What the use cases need from outside: monitored targets, our own store, and channels.

Adapters in `providers/`, `store/` and `notify/` satisfy these protocols; services take them as arguments.
"""

from dbplanmon_pipeline.core.ports.alerts import Alert, AlertStore, Channel, Delivery, Suggestion, SuggestionStore
from dbplanmon_pipeline.core.ports.analysis import AnalysisStore, FactChange, Hotspot, PlanChange
from dbplanmon_pipeline.core.ports.collection import (
    CaptureState,
    CollectedDatabase,
    CollectionStore,
    HistoryStore,
    ImportedDay,
    ImportStatus,
    JobState,
    KnownStatement,
)
from dbplanmon_pipeline.core.ports.deliveries import DeadAlert, DeadLetterStore, DeliveryStore, QueuedAlert
from dbplanmon_pipeline.core.ports.kpis import KpiStore
from dbplanmon_pipeline.core.ports.spool import ReadingSpool, SpooledBatch, SpooledReading, SpoolLoss
from dbplanmon_pipeline.core.ports.targets import Budget, Clock, DatabaseReader, Provider, StatementKey
from dbplanmon_pipeline.core.ports.upkeep import (
    ExpiryMark,
    RetentionStore,
    SchemaDowngrade,
    SchemaStatus,
    SealedDay,
    Store,
    UpkeepStep,
    UpkeepStore,
)

__all__ = [
    "Alert",
    "AlertStore",
    "AnalysisStore",
    "Budget",
    "CaptureState",
    "Channel",
    "Clock",
    "CollectedDatabase",
    "CollectionStore",
    "DatabaseReader",
    "DeadAlert",
    "DeadLetterStore",
    "Delivery",
    "DeliveryStore",
    "ExpiryMark",
    "FactChange",
    "HistoryStore",
    "Hotspot",
    "ImportStatus",
    "ImportedDay",
    "JobState",
    "KnownStatement",
    "KpiStore",
    "PlanChange",
    "Provider",
    "QueuedAlert",
    "ReadingSpool",
    "RetentionStore",
    "SchemaDowngrade",
    "SchemaStatus",
    "SealedDay",
    "SpoolLoss",
    "SpooledBatch",
    "SpooledReading",
    "StatementKey",
    "Store",
    "Suggestion",
    "SuggestionStore",
    "UpkeepStep",
    "UpkeepStore",
]
