"""Monitored instances: how to reach them, which databases, and what they do otherwise than the rest."""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.name_patterns import NamePatterns
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.checks import instance_problems, refuse
from dbplanmon_pipeline.settings.engine_options import InstanceOptions
from dbplanmon_pipeline.settings.secret import Secret
from dbplanmon_pipeline.settings.sections import AnalysisOverride, CollectionOverride, RegressionOverride
from dbplanmon_pipeline.settings.values import Count, Duration, Line


class SslMode(StrEnum):
    """How PostgreSQL connections are encrypted, in the words of libpq."""

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class Encryption(StrEnum):
    """How SQL Server connections are encrypted, in the words of its driver."""

    OPTIONAL = "optional"
    MANDATORY = "mandatory"
    STRICT = "strict"


class ApplicationIntent(StrEnum):
    """What a SQL Server connection announces; `read_only` may be routed to a readable secondary."""

    READ_WRITE = "read_write"
    READ_ONLY = "read_only"


def _encryption(value: Any) -> Any:
    """Take true and false, the words of older drivers, for mandatory and optional."""
    text = str(value).lower()
    if text in ("true", "yes"):
        return Encryption.MANDATORY
    return Encryption.OPTIONAL if text in ("false", "no") else value


def _instance_name(value: str) -> str:
    if "/" in value:
        raise ValueError("holds a slash; an instance name has none")
    return value


def _regular_expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error.msg}") from None
    return value


InstanceName = Annotated[Line, AfterValidator(_instance_name)]
DatabaseName = Annotated[Line, Field(max_length=128)]
Pattern = Annotated[Line, AfterValidator(_regular_expression)]


class LoginSettings(Section):
    """Who connects; the user needs the rights that `dbplanmon grants` prints."""

    user: Line | None = Field(default=None, description="User name.")
    password: Secret | None = Field(default=None, description="Where the password lies.")
    integrated: bool = Field(default=False, description="sqlserver: connect as the operating system user, by Kerberos.")
    authentication: Line | None = Field(
        default=None, description="sqlserver: Authentication of Microsoft's driver, for example ActiveDirectoryMsi."
    )


class DatabaseEntry(Section):
    """One database by name, with what it does otherwise than its instance."""

    name: DatabaseName = Field(description="Name on the server.")
    collection: CollectionOverride = Field(default=CollectionOverride(), description="Over the keys of `collection`.")
    regression: RegressionOverride = Field(default=RegressionOverride(), description="Over the keys of `regression`.")
    analysis: AnalysisOverride = Field(default=AnalysisOverride(), description="Over the keys of `analysis`.")


class DatabaseSelection(Section):
    """Which databases of an instance are watched: named ones, discovered ones, or a number of simulated ones.

    In a file a list means `entries`, a number means `count`.
    """

    entries: tuple[DatabaseEntry, ...] = Field(
        default=(), max_length=100_000, description="Databases by name, or by name with settings of their own."
    )
    discover: bool = Field(default=False, description="Watch every user database the login can see.")
    include: tuple[Pattern, ...] = Field(
        default=(),
        max_length=1_000,
        description="Discovered: regular expressions, found anywhere in a name; empty means all.",
    )
    exclude: tuple[Pattern, ...] = Field(
        default=(), max_length=1_000, description="Discovered: regular expressions, found anywhere in a name; wins."
    )
    count: Count | None = Field(default=None, ge=1, le=100_000, description="Engine simulated: how many databases.")

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, data: Any) -> Any:
        if isinstance(data, list | tuple):
            return {"entries": [{"name": item} if isinstance(item, str) else item for item in data]}
        if (isinstance(data, int) and not isinstance(data, bool)) or (isinstance(data, str) and data.isdecimal()):
            return {"count": data}
        return data

    @property
    def names(self) -> tuple[str, ...]:
        """Databases the settings name."""
        return tuple(entry.name for entry in self.entries)

    def accepts(self, name: str) -> bool:
        """True where a discovered database is to be watched."""
        return NamePatterns(self.include, self.exclude).accept(name)


class InstanceSettings(Section):
    """One monitored server."""

    name: InstanceName = Field(description="Unique name, without a slash; the name in every record and alert.")
    engine: Engine = Field(description="Kind of server.")
    enabled: bool = Field(default=True, description="False leaves the instance alone and keeps its history.")
    server: Line | None = Field(
        default=None,
        description=r"Host name or address; sqlserver: also `host\instance` and `host,port`; not for simulated.",
    )
    port: Count | None = Field(
        default=None, ge=1, le=65_535, description="TCP port; not set: the usual one of the engine."
    )
    database: DatabaseName | None = Field(
        default=None, description="Where to connect for discovery; not set: postgres or master."
    )
    login: LoginSettings = Field(default=LoginSettings(), description="Who connects.")
    sslmode: SslMode = Field(default=SslMode.PREFER, description="postgres: encryption of the connection.")
    sslrootcert: Line | None = Field(default=None, description="postgres: file of the authorities that are trusted.")
    encrypt: Annotated[Encryption, BeforeValidator(_encryption)] = Field(
        default=Encryption.MANDATORY, description="sqlserver: encryption of the connection."
    )
    trust_server_certificate: bool = Field(default=False, description="sqlserver: accept any certificate.")
    host_name_in_certificate: Line | None = Field(
        default=None, description="sqlserver: a further name that the certificate may bear."
    )
    server_certificate: Line | None = Field(
        default=None,
        description="sqlserver: file with the one certificate that is accepted; with `encrypt: strict` only.",
    )
    application_intent: ApplicationIntent = Field(
        default=ApplicationIntent.READ_WRITE, description="sqlserver: `read_only` to be routed to a readable secondary."
    )
    multi_subnet_failover: bool = Field(
        default=False, description="sqlserver: try all addresses of an availability group listener at once."
    )
    connect_timeout: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=5),
        description="Longest wait to connect.",
    )
    databases: DatabaseSelection = Field(
        default=DatabaseSelection(discover=True), description="Which databases; a list, a mapping or a number."
    )
    labels: Mapping[Line, Line] = Field(default={}, max_length=50, description="Free words for filters and alerts.")
    options: InstanceOptions = Field(default=InstanceOptions(), description="What only one engine knows.")
    collection: CollectionOverride = Field(default=CollectionOverride(), description="Over the keys of `collection`.")
    regression: RegressionOverride = Field(default=RegressionOverride(), description="Over the keys of `regression`.")
    analysis: AnalysisOverride = Field(default=AnalysisOverride(), description="Over the keys of `analysis`.")

    @model_validator(mode="before")
    @classmethod
    def _fits_its_engine(cls, data: Any, info: ValidationInfo) -> Any:
        refuse(instance_problems(data), info)
        if isinstance(data, Mapping) and data.get("engine") == Engine.SIMULATED:
            return {"databases": 1, **data}
        return data
