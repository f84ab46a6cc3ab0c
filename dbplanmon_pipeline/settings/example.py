"""The commented settings file that `dbplanmon init` writes."""

from importlib.resources import files


def example_yaml() -> str:
    """A file that loads as it is and shows the keys most people change."""
    return files("dbplanmon_pipeline.settings").joinpath("example.yaml").read_text("utf-8")
