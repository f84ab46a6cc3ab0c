"""`dbplanmon init`: a settings file to begin with."""

from pathlib import Path

import click

from dbplanmon_pipeline.cli.invocation import json_option
from dbplanmon_pipeline.cli.output import print_json


@click.command()
@click.option("--path", type=click.Path(path_type=Path), default="dbplanmon.yaml", show_default=True)
@click.option("--force", is_flag=True, help="Replace a file that is already there.")
@json_option
def init(path: Path, force: bool, as_json: bool) -> None:
    """Write a commented settings file."""
    from dbplanmon_pipeline.settings import example_yaml  # noqa: PLC0415 - `init --help` needs no settings

    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(example_yaml())
    except FileExistsError:
        if path.is_dir():
            raise click.ClickException(f"{path} is a folder; name the file to write") from None
        raise click.ClickException(f"{path} is already there; give --force to replace it") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}") from None
    if as_json:
        print_json({"path": path.absolute(), "next": ["dbplanmon check", "dbplanmon up"]})
        return
    click.echo(f"{path} written. Name your servers in it, then run: dbplanmon check")
