"""Assets of the analysis: what changed, what got worse, and who was told."""

from collections.abc import Iterator

import dagster as dg

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.defs.config import MomentConfig
from dbplanmon_pipeline.defs.naming import ANALYSIS, INSIGHTS, AssetJob, Names
from dbplanmon_pipeline.defs.pictures import incident_pictures
from dbplanmon_pipeline.defs.tables import short_table
from dbplanmon_pipeline.services.analyse import AnalysisReport
from dbplanmon_pipeline.services.process_alerts import AlertReport

Results = Iterator[dg.MaterializeResult[None]]


def analysis_assets(names: Names) -> list[dg.AssetsDefinition]:
    """`plan_changes`, `regressions` and `alerts` in one step; `hotspots` and `remediation_suggestions` in another."""

    @dg.multi_asset(
        name=names.name("analyse"),
        required_resource_keys={names.resource},
        specs=[
            dg.AssetSpec(
                names.key("plan_changes"),
                deps=[names.key("plan_snapshots"), names.key("query_metrics")],
                description="Statements that run with another plan than before, and what is different about it.",
                group_name="analysis",
            ),
            dg.AssetSpec(
                names.key("regressions"),
                deps=[names.key("query_metrics"), names.key("baselines")],
                description="Incidents: statements and instances significantly and materially worse than normal.",
                group_name="analysis",
            ),
            dg.AssetSpec(
                names.key("alerts"),
                deps=[names.key("regressions")],
                description="Messages about incidents, and whether each channel took them.",
                group_name="analysis",
            ),
        ],
    )
    def analyse_assets(context: dg.AssetExecutionContext, config: MomentConfig) -> Results:
        with names.monitor(context).session() as session:
            report = session.analyse(as_of=config.moment())
            yield _plan_changes_result(names, report)
            yield dg.MaterializeResult(
                asset_key=names.key("regressions"),
                metadata={**_regression_facts(report), **incident_pictures(session.store, report)},
            )
            yield _alerts_result(names, session.process_alerts(), queued=report.alerts)

    @dg.multi_asset(
        name=names.name("gain_insights"),
        required_resource_keys={names.resource},
        specs=[
            dg.AssetSpec(
                names.key("hotspots"),
                deps=[names.key("query_metrics")],
                description="The dearest statements of the last window by time, CPU, reads and all together.",
                group_name="analysis",
            ),
            dg.AssetSpec(
                names.key("remediation_suggestions"),
                deps=[names.key("regressions")],
                description="A way back for each open incident, with risk, script and undo. Never executed here.",
                group_name="analysis",
            ),
        ],
    )
    def insight_assets(context: dg.AssetExecutionContext) -> Results:
        with names.monitor(context).session() as session:
            ranking = session.rank_hotspots()
            yield dg.MaterializeResult(
                asset_key=names.key("hotspots"),
                metadata={
                    "dagster/row_count": len(ranking.hotspots),
                    "by_elapsed_time": short_table(
                        [
                            {
                                "database": str(h.ref),
                                "query": hash_text(h.query_hash),
                                "seconds": h.elapsed_time_us / 1e6,
                                "executions": round(h.execution_count),
                                "share": f"{h.share:.1%}",
                            }
                            for h in ranking.hotspots
                            if h.rank_by == "elapsed_time_us"
                        ]
                    ),
                },
            )
            advice = session.suggest_remediations()
            yield dg.MaterializeResult(
                asset_key=names.key("remediation_suggestions"),
                metadata={
                    "dagster/row_count": len(advice.suggestions),
                    "new": advice.added,
                    "suggestions": short_table(
                        [
                            {"incident": s.incident_id, "kind": s.kind, "risk": s.risk, "script": s.script}
                            for s in advice.suggestions
                        ],
                        empty="no open incident needs one",
                    ),
                },
            )

    return [analyse_assets, insight_assets]


def _plan_changes_result(names: Names, report: AnalysisReport) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=names.key("plan_changes"),
        metadata={
            "dagster/row_count": len(report.plan_changes),
            "changes": short_table(
                [
                    {"database": str(c.ref), "query": hash_text(c.query_hash), "what": c.summary}
                    for c in report.plan_changes
                ],
                empty="no statement changed its plan",
            ),
        },
    )


def _regression_facts(report: AnalysisReport) -> dict[str, dg.MetadataValue | int | str]:
    events = [change.event for change in report.changes]
    facts: dict[str, dg.MetadataValue | int | str] = {
        "dagster/row_count": len(report.open_incidents),
        "opened": events.count(IncidentEvent.OPENED) + events.count(IncidentEvent.REOPENED),
        "auto_resolved": events.count(IncidentEvent.AUTO_RESOLVED),
        "statements_judged": report.judged,
        "statements_without_baseline": report.unjudged,
        "held_back_since_restart": report.held_back,
        "ticks_judged": report.ticks,
        "open": short_table([_incident_row(i) for i in report.open_incidents], empty="no open incident"),
    }
    if report.as_of:
        facts["as_of"] = dg.MetadataValue.timestamp(report.as_of)
    return facts


def _incident_row(incident: Incident) -> dict[str, str | float]:
    """Few and short columns, or the UI cuts the table at its right side."""
    where = f"{incident.instance}/{incident.database}" if incident.database else incident.instance
    return {
        "incident": incident.incident_id,
        "statement": f"{where} {hash_text(incident.query_hash)}".strip(),
        "kind": f"{incident.severity.value} {incident.label.value.replace('_', ' ')}",
        "times": incident.effect_ratio,
        "s/h": incident.extra_seconds_per_hour,
    }


def _alerts_result(names: Names, report: AlertReport, queued: int) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=names.key("alerts"),
        metadata={
            "queued": queued,
            "sent": report.sent,
            "failed": report.failed,
            "dropped": report.dropped,
            "pending": report.pending,
        },
    )


def analysis_jobs(names: Names) -> list[AssetJob]:
    """Both jobs that follow a collection."""
    return [
        dg.define_asset_job(
            names.name(ANALYSIS),
            selection=dg.AssetSelection.assets(*(names.key(a) for a in ("plan_changes", "regressions", "alerts"))),
            description="Judge what was recorded since the last analysis and tell those who should know.",
            tags=names.job_tags(ANALYSIS),
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            names.name(INSIGHTS),
            selection=dg.AssetSelection.assets(*(names.key(a) for a in ("hotspots", "remediation_suggestions"))),
            description="Rank the dearest statements and write down ways back.",
            tags=names.job_tags(INSIGHTS),
            executor_def=dg.in_process_executor,
        ),
    ]
