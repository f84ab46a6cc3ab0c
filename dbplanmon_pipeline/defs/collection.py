"""Assets of the collection: what runs now, and with which plans."""

from collections.abc import Iterator, Sequence

import dagster as dg

from dbplanmon_pipeline.composition import Session
from dbplanmon_pipeline.composition.fleet_parts import three_readings, whole_fleet
from dbplanmon_pipeline.core.health import Finding, reachability
from dbplanmon_pipeline.core.model import CollectionOutcome
from dbplanmon_pipeline.defs.config import CollectionRunConfig
from dbplanmon_pipeline.defs.naming import COLLECTION, AssetJob, Names
from dbplanmon_pipeline.defs.tables import check_result, short_table
from dbplanmon_pipeline.services.collect import CollectionReport

REACHABLE = "targets_are_reachable"

Results = Iterator[dg.MaterializeResult[None]]


def collection_assets(names: Names, freshness: dg.FreshnessPolicy | None) -> dg.AssetsDefinition:
    """`plan_snapshots` and `query_metrics`, made in one step so that a run stays within 25 events."""

    @dg.multi_asset(
        name=names.name("collect"),
        required_resource_keys={names.resource},
        specs=[
            dg.AssetSpec(
                names.key("plan_snapshots"),
                description="Execution plans of the statements that matter now, kept once by the hash of their shape.",
                group_name="collection",
                kinds={"sql", "python"},
            ),
            dg.AssetSpec(
                names.key("query_metrics"),
                description="Work of every statement within the interval since its last reading.",
                group_name="collection",
                kinds={"sql", "python"},
                freshness_policy=freshness,
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                REACHABLE,
                asset=names.key("query_metrics"),
                description="Every target of this run answered; amber names those that did not.",
            )
        ],
        op_tags={"dbplanmon/stage": "collection"},
    )
    def collect_assets(context: dg.AssetExecutionContext, config: CollectionRunConfig) -> Results:
        shard = config.part()
        with names.monitor(context).session(needs_store=False) as session:
            report = session.collect(only=config.databases, shard=shard)
            if report.store_failure:
                raise _store_is_away(report)
            # The check speaks for the whole fleet, so a shard adds what the others saw last.
            outcomes = report.outcomes if shard is None else _whole_fleet(session, report)
            yield from _results(names, report, reachability(outcomes))
            if session.remember_collection(report, shard):
                raise _blind(report)

    return collect_assets


def _whole_fleet(session: Session, report: CollectionReport) -> Sequence[CollectionOutcome]:
    since = report.tick - three_readings(session.settings)
    return whole_fleet(session.settings, session.store, report.outcomes, since)


def _results(names: Names, report: CollectionReport, reachable: Finding) -> Results:
    outcomes = report.outcomes
    yield dg.MaterializeResult(
        asset_key=names.key("plan_snapshots"),
        metadata={
            "new_plans": sum(o.new_plans for o in outcomes),
            "plan_changes": sum(o.plan_changes for o in outcomes),
            "new_statements": sum(o.new_statements for o in outcomes),
        },
    )
    slowest = sorted(outcomes, key=lambda o: -o.duration_ms)[:5]
    yield dg.MaterializeResult(
        asset_key=names.key("query_metrics"),
        metadata={
            "dagster/row_count": report.rows,
            "tick": dg.MetadataValue.timestamp(report.tick),
            "databases": len(outcomes),
            "failed": len(report.failed),
            "skipped": len(report.skipped),
            "counter_resets": sum(o.resets for o in outcomes),
            "longest_gap_minutes": max((o.gap_seconds or 0.0 for o in outcomes), default=0.0) / 60,
            "duration_seconds": round(report.duration_seconds, 2),
            "target_cost_ms": round(sum(o.cost_ms or 0.0 for o in outcomes), 1),
            "readings_recorded_later": report.replayed.readings,
            "spooled_readings_lost": report.spool_lost.readings,
            "not_read": short_table(reachability(outcomes).rows, empty="every target was read"),
            "slowest": short_table(
                [
                    {"database": str(o.ref), "ms": o.duration_ms, "rows": o.rows, "statements": o.statements_read}
                    for o in slowest
                ]
            ),
        },
        check_results=[check_result(names.key("query_metrics"), REACHABLE, reachable, table="targets")],
    )


def _store_is_away(report: CollectionReport) -> dg.Failure:
    """Nothing was stored, so nothing is materialised; the next run that finds the store records what was kept."""
    kept, lost = len(report.spooled), report.spool_lost
    return dg.Failure(
        f"{report.store_failure} (the readings of {kept} of {len(report.outcomes)} targets are kept on disk and "
        "recorded as soon as the store is back)",
        metadata={
            "readings_kept": kept,
            "spooled_readings_lost": lost.readings,
            "why_lost": lost.reason or "none was lost",
            "not_read": short_table(reachability(report.outcomes).rows, empty="every target was read"),
        },
        allow_retries=False,
    )


def _blind(report: CollectionReport) -> dg.Failure:
    """A run that saw too few targets fails, so that the back-off takes over; what was read is already stored."""
    return dg.Failure(
        f"{len(report.failed) + len(report.skipped)} of {len(report.outcomes)} targets could not be read",
        metadata={"not_read": short_table(reachability(report.outcomes).rows)},
        allow_retries=False,
    )


def collection_job(names: Names) -> AssetJob:
    """The job of the 5-minute schedule."""
    keys = names.key("plan_snapshots"), names.key("query_metrics")
    reachable = dg.AssetCheckKey(names.key("query_metrics"), REACHABLE)
    return dg.define_asset_job(
        names.name(COLLECTION),
        # Without the checks of `health_job`, which would come along as checks of these assets.
        selection=dg.AssetSelection.assets(*keys).without_checks() | dg.AssetSelection.checks(reachable),
        description="Read every target once.",
        tags=names.job_tags(COLLECTION),
        executor_def=dg.in_process_executor,
    )
