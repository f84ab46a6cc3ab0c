"""Asset checks that tell whether the monitor itself is well; they read the store, never a monitored server."""

from collections.abc import Iterator

import dagster as dg

from dbplanmon_pipeline.defs.naming import HEALTH, AssetJob, Names
from dbplanmon_pipeline.defs.tables import check_result

CHECKS = {
    "store_schema_is_current": "The store can be reached and has the schema of this program.",
    "metrics_are_recent": "Every database was read within three collection intervals.",
    "named_statements_cover_the_load": "The statements kept by name hold most of the recorded time.",
    "collector_cost_is_low": "No target spent more than 1 % of one core on our reading.",
    "baselines_are_recent": "The newest baseline is younger than 30 hours.",
    "query_store_is_healthy": "Query Store records wherever it should, has room, and forces the plans it was told to.",
}
"""Name of each check and the fact it states."""


def health_checks(names: Names) -> dg.AssetChecksDefinition:
    """All of them in one step, on `query_metrics`."""

    @dg.multi_asset_check(
        name=names.name("check_health"),
        required_resource_keys={names.resource},
        specs=[
            dg.AssetCheckSpec(name, asset=names.key("query_metrics"), description=fact) for name, fact in CHECKS.items()
        ],
        can_subset=True,
    )
    def check_health(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        asked = {key.name for key in context.selected_asset_check_keys}
        with names.monitor(context).session(upgrade=False) as session:
            for name, finding in session.health().items():
                if name in asked:
                    yield check_result(names.key("query_metrics"), name, finding)

    return check_health


def health_job(names: Names, checks: dg.AssetChecksDefinition) -> AssetJob:
    """Runs the checks by themselves, so that they speak even when the collection is silent."""
    return dg.define_asset_job(
        names.name(HEALTH),
        selection=dg.AssetSelection.checks(checks),
        description="Judge the monitor's own health.",
        tags=names.job_tags(HEALTH),
        executor_def=dg.in_process_executor,
    )
