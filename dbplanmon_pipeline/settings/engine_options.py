"""What only one engine knows of an instance."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.values import Count, Line


class CounterSource(StrEnum):
    """Where the counters of a database come from; `auto` takes Query Store where it is on."""

    AUTO = "auto"
    QUERY_STORE = "query_store"
    PLAN_CACHE = "plan_cache"


class SimulatedRelease(StrEnum):
    """Which SQL Server a simulated instance acts."""

    Y2016 = "2016"
    Y2017 = "2017"
    Y2019 = "2019"
    Y2022 = "2022"
    Y2025 = "2025"


def _setting_text(value: Any) -> Any:
    """A planner setting as the text the server takes: numbers and switches may be written plainly."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int | float) else value


def _year(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


PlannerSetting = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]*$", max_length=63)]
PlannerValue = Annotated[Line, BeforeValidator(_setting_text)]


class InstanceOptions(Section):
    """What only one engine knows."""

    driver: Line | None = Field(
        default=None,
        description="sqlserver: name or absolute path of the ODBC driver; not set: Microsoft's newest, else FreeTDS.",
    )
    source: CounterSource = Field(
        default=CounterSource.AUTO,
        description="sqlserver, simulated: where counters come from; `auto` is Query Store where it is on, else the "
        "plan cache; a simulated instance has one.",
    )
    planner: Mapping[PlannerSetting, PlannerValue] = Field(
        default={}, max_length=100, description="postgres: settings under which plans are made, such as work_mem."
    )
    seed: Count = Field(default=1, ge=0, le=2**31 - 1, description="simulated: start of the random numbers.")
    statements: Count = Field(default=50, ge=1, le=100_000, description="simulated: statements per database.")
    failing: Count = Field(default=0, ge=0, le=100_000, description="simulated: databases that cannot be reached.")
    latency_ms: Count = Field(
        default=0, ge=0, le=60_000, description="simulated: time one reading takes, in milliseconds."
    )
    interval_minutes: Count = Field(
        default=15, ge=1, le=1_440, description="simulated: length of the intervals of Query Store, in minutes."
    )
    flush_seconds: Count = Field(
        default=900, ge=1, le=86_400, description="simulated: how often Query Store writes to disk, in seconds."
    )
    version: Annotated[SimulatedRelease, BeforeValidator(_year)] = Field(
        default=SimulatedRelease.Y2022, description="simulated: year of the SQL Server release it acts."
    )
