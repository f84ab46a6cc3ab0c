"""`dbplanmon demo`."""

import shlex
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from dbplanmon_pipeline.demo.pace import Pace
from dbplanmon_pipeline.demo.result import DemoResult, found

DEFAULT_TICK = 2
CADENCES = ("5", "10", "15", "30")


@click.command()
@click.option("--engine", type=click.Choice(["postgres", "simulated"]), help="What to watch; by default PostgreSQL.")
@click.option("--no-ui", is_flag=True, help="End after the story instead of leaving its pages running.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--status-port", default=3001, show_default=True, help="Port of the status page.")
@click.option("--postgres-bin", type=click.Path(file_okay=False, path_type=Path), help="Programs of PostgreSQL.")
@click.option("--tick", default=DEFAULT_TICK, show_default=True, type=click.IntRange(2, 60), help="Seconds a tick.")
@click.option("--days", type=click.IntRange(2, 31), help="A simulated week of life instead, so many days long.")
@click.option("--cadence", type=click.Choice(CADENCES), help="With --days: minutes between two collections; 5.")
def demo(
    engine: str | None,
    no_ui: bool,
    json_path: Path | None,
    port: int,
    status_port: int,
    postgres_bin: Path | None,
    tick: int,
    days: int | None,
    cadence: str | None,
) -> None:
    """Watch a real database get slower, and the pipeline say why."""
    if days is None and cadence:
        raise click.UsageError("--cadence goes with --days")
    if days is not None:
        if engine == "postgres" or postgres_bin is not None:
            raise click.UsageError("--days is for --engine simulated: a real PostgreSQL cannot live faster")
        _play_week(days, int(cadence or CADENCES[0]), json_path, None if no_ui else (port, status_port))
        return
    # Everything below costs seconds to import; `--help` must not.
    from dbplanmon_pipeline.demo.choose import choose_source, demo_folder  # noqa: PLC0415
    from dbplanmon_pipeline.demo.play import fresh_home, play  # noqa: PLC0415
    from dbplanmon_pipeline.demo.screen import RichScreen  # noqa: PLC0415
    from dbplanmon_pipeline.demo.ui import leave_running  # noqa: PLC0415
    from dbplanmon_pipeline.logs import configure_logging  # noqa: PLC0415

    console = Console()
    folder = demo_folder()
    with ExitStack() as stack:
        source, remark = choose_source(engine, folder, postgres_bin, tick, Pace())
        stack.callback(source.close)
        if remark:
            console.print(remark, style="yellow")
        home = fresh_home(folder)
        configure_logging(json=True, stream=stack.enter_context((folder / "demo.log").open("w", encoding="utf-8")))
        with RichScreen(console) as screen:
            result = play(source, home, screen, Pace(), polite=True)
        if json_path:
            result.write(json_path)
        _print_result(console, result)
        _print_command(console, folder / "dbplanmon.yaml")
        if not no_ui:
            leave_running(console, home, folder / "dbplanmon.yaml", port, status_port)
    if not result.succeeded:
        raise SystemExit(1)


def _play_week(days: int, cadence_minutes: int, json_path: Path | None, ports: tuple[int, int] | None) -> None:
    # As above: seconds of imports.
    from dbplanmon_pipeline.demo.choose import demo_folder  # noqa: PLC0415
    from dbplanmon_pipeline.demo.play import fresh_home  # noqa: PLC0415
    from dbplanmon_pipeline.demo.ui import leave_running  # noqa: PLC0415
    from dbplanmon_pipeline.demo.week_play import play_week  # noqa: PLC0415
    from dbplanmon_pipeline.demo.week_screen import WeekLines, print_week  # noqa: PLC0415
    from dbplanmon_pipeline.demo.week_servers import DeadEnd, Inbox  # noqa: PLC0415
    from dbplanmon_pipeline.demo.week_settings import WeekPlace  # noqa: PLC0415
    from dbplanmon_pipeline.logs import configure_logging  # noqa: PLC0415

    console = Console()
    place = WeekPlace(demo_folder(), days, timedelta(minutes=cadence_minutes))
    with ExitStack() as stack:
        inbox, dead_end = stack.enter_context(Inbox()), stack.enter_context(DeadEnd())
        log = stack.enter_context((place.folder / "demo.log").open("w", encoding="utf-8"))
        configure_logging(json=True, stream=log)
        home = fresh_home(place.folder)
        place.write_settings(inbox.url, dead_end.url)
        result = play_week(place, home, WeekLines(console))
        if json_path:
            result.write(json_path)
        print_week(console, result)
        _print_command(console, place.settings_file)
        if ports is not None:
            leave_running(console, home, place.settings_file, *ports)
    if not result.succeeded:
        raise SystemExit(1)


def _print_command(console: Console, settings_file: Path) -> None:
    """How to ask about what was found; the messages name the commands without these settings."""
    shown = settings_file.relative_to(Path.cwd()) if settings_file.is_relative_to(Path.cwd()) else settings_file
    call = f"dbplanmon --config {shlex.quote(str(shown))} incidents list"
    console.print(f"\nOn the command line: {call}", highlight=False, soft_wrap=True, markup=False)


def _print_result(console: Console, result: DemoResult) -> None:
    console.print(f"\n[bold]{result.server}: {found(result.faults)} in {result.elapsed_seconds:.0f} s[/bold]\n")
    for fault in result.faults:
        if not fault.incident_id:
            console.print(f"[red]missed[/red]  {fault.name}")
            continue
        mark = "[green]found[/green] " if fault.detected else "[yellow]late[/yellow]  "
        times, extra = fault.effect_ratio or 0.0, fault.extra_seconds_per_hour or 0.0
        console.print(
            f"{mark}  [bold]{fault.name}[/bold] after {fault.ticks_to_detect} ticks: {fault.statement} "
            f"x{times:,.1f}, {extra:,.0f} s more per hour ({fault.label.replace('_', ' ')}, {fault.severity})"
        )
        for line in fault.plan_diff[1:] or fault.plan_diff:
            console.print(f"        {line}", style="dim", markup=False, highlight=False)
        if fault.way_back:
            console.print(f"        way back: {fault.way_back}", markup=False, highlight=False)
    for silent in result.silent:
        verdict = "stayed silent, as it should" if silent.stayed_silent else "raised an incident, wrongly"
        console.print(
            f"{'silent' if silent.stayed_silent else '[red]loud[/red]  '}  {silent.name}: "
            f"{silent.before_ms} ms became {silent.after_ms} ms and {verdict}"
        )
    for false in result.false_incidents:
        console.print(f"[red]false[/red]   {false.statement} x{false.effect_ratio} ({false.label})")
