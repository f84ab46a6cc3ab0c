"""`dbplanmon kpis`: figures of your own."""

from datetime import timedelta

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, read_span, utc_now
from dbplanmon_pipeline.cli.output import Cell, print_json, print_line, print_table
from dbplanmon_pipeline.core.kpis.alerts import limit_words
from dbplanmon_pipeline.core.kpis.health import KpiStatus
from dbplanmon_pipeline.core.kpis.rules import KpiState
from dbplanmon_pipeline.core.records_of_people import kpi_record, kpi_result_record
from dbplanmon_pipeline.errors import SettingsError


@click.group()
def kpis() -> None:
    """List and read figures of your own, show their history."""


@kpis.command("list")
@json_option
@pass_invocation
def list_kpis(invocation: Invocation, as_json: bool) -> None:
    """List the KPIs that are read, each with its newest value."""
    with invocation.session() as session:
        status = session.kpi_status()
    if as_json:
        print_json({"kpis": [kpi_record(one) for one in status]})
        return
    print_table(
        ("kpi", "where", "state", "value", "limits", "severity", "since (UTC)", "read (UTC)", "why"),
        [_status_row(one) for one in status],
        empty="no KPIs: write them under `kpis` in the settings",
    )


def _status_row(status: KpiStatus) -> tuple[Cell, ...]:
    spec, memory, result = status
    return (
        spec.name,
        str(spec.ref),
        result.state.value if result else "not read yet",
        result.value if result else None,
        limit_words(spec.limits),
        spec.severity.value,
        memory.began_at,
        result.started_at if result else None,
        result.message if result else "",
    )


@kpis.command("run")
@click.argument("name")
@json_option
@pass_invocation
@click.pass_context
def run_kpi(ctx: click.Context, invocation: Invocation, name: str, as_json: bool) -> None:
    """Read one KPI now, due or not; the reading counts like any other.

    Exits with 1 when it could not be read, or another reading of it is under way.
    """
    with invocation.session() as session:
        report = session.run_kpis([name])
    if not report.results:
        raise click.ClickException(f"KPI {name} is being read elsewhere; wait until that is over")
    (result,) = report.results
    if as_json:
        print_json({**kpi_result_record(result), "alerts": report.alerts})
    else:
        said = f": {result.message}" if result.message else ""
        value = "" if result.value is None else f" {result.value:,.6g}"
        print_line(f"{name}{value} {result.state.value}{said} ({result.duration_ms:,.0f} ms, {report.alerts} alerts)")
    if result.state is KpiState.ERROR:
        ctx.exit(1)


@kpis.command("history")
@click.argument("name")
@click.option("--since", metavar="DURATION", callback=read_span, help="Only readings within, such as 7d.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@json_option
@pass_invocation
def show_history(invocation: Invocation, name: str, since: timedelta | None, limit: int, as_json: bool) -> None:
    """Show the readings of one KPI, the newest first."""
    with invocation.session() as session:
        found = session.store.kpi_results(name, utc_now() - since if since else None, limit)
        if not found and name not in {kpi.name for kpi in session.settings.kpis}:
            named = ", ".join(kpi.name for kpi in session.settings.kpis[:20]) or "none"
            raise SettingsError(f"no KPI {name!r} in the settings; there are: {named}")
    if as_json:
        print_json({"name": name, "results": [kpi_result_record(result) for result in found]})
        return
    print_table(
        ("read (UTC)", "state", "value", "normal", "ms", "why"),
        [(r.started_at, r.state.value, r.value, r.normal, round(r.duration_ms), r.message) for r in found],
        empty="nothing read within that time",
    )
