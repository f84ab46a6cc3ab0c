"""The code location. It decides nothing; importing it reads the settings, which `defs.location` does not."""

from dbplanmon_pipeline.defs.location import build_definitions
from dbplanmon_pipeline.settings import load_settings

__all__ = ["build_definitions", "defs"]

defs = build_definitions(load_settings())
