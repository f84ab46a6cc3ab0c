"""How the tests of this room write files and collect complaints."""

from pathlib import Path
from textwrap import dedent

import pytest

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import Settings, load_settings


def write(folder: Path, text: str, name: str = "dbplanmon.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text), "utf-8")
    return path


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    write(folder, text)
    return load_settings(environ=environ or {}, cwd=folder)


def complaints(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    write(folder, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(environ=environ or {}, cwd=folder)
    return str(caught.value).splitlines()
