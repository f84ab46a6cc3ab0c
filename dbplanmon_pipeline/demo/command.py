"""`dbplanmon demo`."""

from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dbplanmon_pipeline.demo.result import DemoResult, found

DEFAULT_TICK = 2


@click.command()
@click.option("--engine", type=click.Choice(["postgres", "simulated"]), help="What to watch; by default PostgreSQL.")
@click.option("--no-ui", is_flag=True, help="End after the story instead of leaving the Dagster UI running.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--postgres-bin", type=click.Path(file_okay=False, path_type=Path), help="Programs of PostgreSQL.")
@click.option("--tick", default=DEFAULT_TICK, show_default=True, type=click.IntRange(2, 60), help="Seconds a tick.")
def demo(
    engine: str | None, no_ui: bool, json_path: Path | None, port: int, postgres_bin: Path | None, tick: int
) -> None:
    """Watch a real database get slower, and the pipeline say why."""
    # Everything below costs seconds to import; `--help` must not.
    from dbplanmon_pipeline.demo.choose import choose_source, demo_folder  # noqa: PLC0415
    from dbplanmon_pipeline.demo.play import fresh_home, play  # noqa: PLC0415
    from dbplanmon_pipeline.demo.screen import RichScreen  # noqa: PLC0415
    from dbplanmon_pipeline.demo.ui import leave_running  # noqa: PLC0415
    from dbplanmon_pipeline.logs import configure_logging  # noqa: PLC0415

    console = Console()
    folder = demo_folder()
    with ExitStack() as stack:
        source, remark = choose_source(engine, folder, postgres_bin, tick)
        stack.callback(source.close)
        if remark:
            console.print(remark, style="yellow")
        home = fresh_home(folder)
        configure_logging(json=True, stream=stack.enter_context((folder / "demo.log").open("w", encoding="utf-8")))
        with RichScreen(console) as screen:
            result = play(source, home, screen)
        if json_path:
            result.write(json_path)
        _print_result(console, result)
        if not no_ui:
            leave_running(console, home, folder / "dbplanmon.yaml", port)
    if not result.succeeded:
        raise SystemExit(1)


def _print_result(console: Console, result: DemoResult) -> None:
    table = Table(title=f"{result.server}: {found(result.faults)} in {result.elapsed_seconds:.0f} s")
    for column in ("what was broken", "found", "after", "statement", "label", "times", "extra s/h", "what changed"):
        table.add_column(column)
    for fault in result.faults:
        table.add_row(
            fault.name,
            "yes" if fault.detected else "no",
            f"{fault.ticks_to_detect} ticks" if fault.ticks_to_detect else "",
            fault.statement,
            fault.label,
            f"{fault.effect_ratio:,.1f}" if fault.effect_ratio else "",
            f"{fault.extra_seconds_per_hour:,.0f}" if fault.extra_seconds_per_hour else "",
            fault.plan_diff[0] if fault.plan_diff else "",
        )
    console.print(table)
    for silent in result.silent:
        verdict = "stayed silent, as it should" if silent.stayed_silent else "raised an incident, wrongly"
        console.print(f"{silent.name}: {silent.before_ms} ms became {silent.after_ms} ms and {verdict}.")
    for false in result.false_incidents:
        console.print(f"[red]false incident[/red]: {false.statement} x{false.effect_ratio} ({false.label})")
