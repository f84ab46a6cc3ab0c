"""KPIs: figures that users read from their databases by statements of their own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, model_validator

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.checks import kpi_problems, refuse
from dbplanmon_pipeline.settings.values import Duration, Line, Quantity

_LARGEST = 1e18
SqlText = Annotated[str, Field(min_length=1, max_length=100_000)]


class KpiSettings(Section):
    """One figure: the first column of the first row of a statement or procedure."""

    name: Line = Field(description="Unique name.")
    instance: Line = Field(description="Name of the instance it is read from.")
    database: Line = Field(description="Name of the database it is read from.")
    sql: SqlText | None = Field(default=None, description="A reading statement; this or `procedure`.")
    procedure: Line | None = Field(default=None, description="Name of a stored procedure; this or `sql`.")
    expected: Quantity | None = Field(
        default=None, ge=-_LARGEST, le=_LARGEST, description="Any other value is a breach."
    )
    minimum: Quantity | None = Field(
        default=None, ge=-_LARGEST, le=_LARGEST, description="A smaller value is a breach."
    )
    maximum: Quantity | None = Field(default=None, ge=-_LARGEST, le=_LARGEST, description="A larger value is a breach.")
    deviation_percent: Quantity | None = Field(
        default=None, ge=1.0, le=1_000_000.0, description="Distance from its own history, in percent, that is a breach."
    )
    interval: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(minutes=1),
        le=timedelta(days=31),
        description="Time between readings.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="Longest time of a reading.",
    )
    severity: Severity = Field(default=Severity.MEDIUM, description="How bad a breach is.")
    enabled: bool = Field(default=True, description="False reads nothing.")

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, data: Any, info: ValidationInfo) -> Any:
        refuse(kpi_problems(data) if isinstance(data, Mapping) else (), info)
        return data
