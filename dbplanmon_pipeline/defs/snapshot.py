"""`database_snapshot`: one database, read now, by one click."""

import dagster as dg

from dbplanmon_pipeline.core.health import reachability
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef, hash_text
from dbplanmon_pipeline.defs.naming import SNAPSHOT, AssetJob, Names
from dbplanmon_pipeline.defs.tables import short_table


def databases_partitions(names: Names) -> dg.DynamicPartitionsDefinition:
    """One partition per monitored database, kept in step with the settings by a sensor."""
    return dg.DynamicPartitionsDefinition(name=names.name("databases"))


def snapshot_asset(names: Names) -> dg.AssetsDefinition:
    """The asset; unlike a scheduled collection it fails visibly when its one database cannot be read."""

    @dg.asset(
        key=names.key("database_snapshot"),
        partitions_def=databases_partitions(names),
        required_resource_keys={names.resource},
        description="Counters and plans of one database as of now, and its dearest statements of the last hour.",
        group_name="on_demand",
    )
    def database_snapshot(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with names.monitor(context).session() as session:
            report = session.collect(only=[context.partition_key])
            outcome = report.outcomes[0]
            if outcome.status is CollectionStatus.FAILED:
                raise dg.Failure(
                    f"{outcome.ref} could not be read: {outcome.message}",
                    metadata={"why": short_table(reachability(report.outcomes).rows)},
                    allow_retries=False,
                )
            top = session.dearest_statements(DatabaseRef.parse(context.partition_key))
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": outcome.rows,
                "state": outcome.status.value,
                "statements_read": outcome.statements_read,
                "new_plans": outcome.new_plans,
                "plan_changes": outcome.plan_changes,
                "dearest_statements": short_table(
                    [
                        {
                            "query": hash_text(h.query_hash),
                            "seconds": h.elapsed_time_us / 1e6,
                            "executions": round(h.execution_count),
                            "share": f"{h.share:.1%}",
                            "statement": text,
                        }
                        for h, text in top
                    ],
                    empty="a first reading only sets the starting point; read again in a few minutes",
                ),
            }
        )

    return database_snapshot


def snapshot_job(names: Names) -> AssetJob:
    """The same as a job, for the launchpad."""
    return dg.define_asset_job(
        names.name(SNAPSHOT),
        selection=dg.AssetSelection.assets(names.key("database_snapshot")),
        description="Read one database now.",
        executor_def=dg.in_process_executor,
    )
