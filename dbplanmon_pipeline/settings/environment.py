"""The one place that reads the variables of this process."""

import os
from collections.abc import Mapping

PREFIX = "DBPLANMON_"
SOURCE = "environment variable "
CONFIG = "DBPLANMON_CONFIG"
ENVIRONMENT = "DBPLANMON_ENVIRONMENT"
STATE = "DBPLANMON_STATE"
STORE_URL = "DBPLANMON_STORE_URL"
DAGSTER_HOME = "DAGSTER_HOME"
NO_SETTINGS = frozenset({CONFIG, ENVIRONMENT, STATE, STORE_URL})
_NO_OVERRIDES = ("DBPLANMON_TEST_", "DBPLANMON_LOG")


def variables(environ: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """The given variables, else those of this process as they are now."""
    return os.environ if environ is None else environ


def overrides(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that override a setting, by name; empty ones count as not set."""
    return {
        name: value
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and "__" in name and not name.startswith(_NO_OVERRIDES) and value
    }


def override_path(name: str) -> tuple[str, ...]:
    """`DBPLANMON_COLLECTION__TOP_N` as ("collection", "top_n")."""
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def override_name(path: tuple[str, ...]) -> str:
    """The variable that overrides the key at this path."""
    return PREFIX + "__".join(path).upper()


def child_environment(**more: str) -> dict[str, str]:
    """The environment of this process for a child of it, with some variables set."""
    return {**os.environ, **more}
