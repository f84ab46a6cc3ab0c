"""KPIs: figures that users read from their databases by statements of their own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from dbplanmon_pipeline.core.cron import Cron
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.checks import kpi_problems, refuse
from dbplanmon_pipeline.settings.secret import Secret
from dbplanmon_pipeline.settings.values import Count, Duration, Line, Quantity

_LARGEST = 1e18
LONGEST_NAME = 60
"""With `kpi:` before it, it stands where an incident has its number."""

SqlText = Annotated[str, Field(min_length=1, max_length=100_000)]


def _cron(text: str) -> str:
    Cron.parse(text)
    return text


CronText = Annotated[Line, AfterValidator(_cron)]
KpiName = Annotated[Line, Field(max_length=LONGEST_NAME)]


class KpiLogin(Section):
    """Who reads one KPI, in place of the login of its instance."""

    user: Line = Field(description="User name.")
    password: Secret | None = Field(default=None, description="Where the password lies.")
    least_privilege: bool = Field(
        default=False,
        description="You declare that this login can read and nothing else; SQL Server is asked under no other.",
    )


class KpiSettings(Section):
    """One figure: a column of the first row of a statement or procedure."""

    name: KpiName = Field(description="Unique name.")
    instance: Line = Field(description="Name of the instance it is read from.")
    database: Line = Field(description="Name of the database it is read from.")
    sql: SqlText | None = Field(default=None, description="A reading statement; this or `procedure`.")
    procedure: Line | None = Field(default=None, description="Name of a stored procedure; this or `sql`.")
    value: Line | None = Field(default=None, description="Column that holds the value; not set: the first.")
    expected: Quantity | None = Field(
        default=None, ge=-_LARGEST, le=_LARGEST, description="Any other value is a breach."
    )
    minimum: Quantity | None = Field(
        default=None, ge=-_LARGEST, le=_LARGEST, description="A smaller value is a breach."
    )
    maximum: Quantity | None = Field(default=None, ge=-_LARGEST, le=_LARGEST, description="A larger value is a breach.")
    deviation_percent: Quantity | None = Field(
        default=None,
        ge=1.0,
        le=1_000_000.0,
        description="Distance from its own history at this hour of the week, in percent, that is a breach.",
    )
    minimum_samples: Count = Field(
        default=8, ge=2, le=1_000, description="Values of this hour of the week that `deviation_percent` waits for."
    )
    interval: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(minutes=1),
        le=timedelta(days=31),
        description="Time between readings; this or `cron`.",
    )
    cron: CronText | None = Field(
        default=None, description='Moments of the readings in UTC, such as "0 6 * * mon"; this or `interval`.'
    )
    timeout: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="Longest time of a reading.",
    )
    severity: Severity = Field(default=Severity.MEDIUM, description="How bad a breach is.")
    enabled: bool = Field(default=True, description="False reads nothing.")
    login: KpiLogin | None = Field(default=None, description="Who reads it; not set: the login of the instance.")

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, data: Any, info: ValidationInfo) -> Any:
        refuse(kpi_problems(data) if isinstance(data, Mapping) else (), info)
        return data


class KpiLimitSettings(Section):
    """How all KPIs are read and told of."""

    max_parallel: Count = Field(default=5, ge=1, le=100, description="KPIs that are read at once.")
    calm_readings: Count = Field(default=3, ge=1, le=1_000, description="Good readings in a row that end a breach.")
    tolerated_errors: Count = Field(
        default=2, ge=0, le=1_000, description="Failed readings in a row before people are told of them."
    )
