"""Kinds and versions of SQL Server, on one scale by which statements are chosen."""

from collections.abc import Mapping
from enum import StrEnum

RELEASES: Mapping[str, int] = {
    "2016": 13_00_1601,
    "2016 SP2": 13_00_5026,
    "2017": 14_00_3015,
    "2019": 15_00_2000,
    "2022": 16_00_1000,
    "2025": 17_00_1000,
}
"""First build of each release as `version_number` counts; 2017 from its third cumulative update on."""

OLDEST = 13_00_0000
AZURE_LEVEL = 99_00_0000

_MAJOR, _MINOR = 1_000_000, 10_000
_MANAGED_LEVEL = RELEASES["2022"]


class EngineEdition(StrEnum):
    """What SERVERPROPERTY('EngineEdition') says, as far as it matters here."""

    BOX = "SQL Server"
    AZURE_SQL_DB = "Azure SQL Database"
    MANAGED_INSTANCE = "Azure SQL Managed Instance"
    EDGE = "Azure SQL Edge"
    FABRIC = "SQL database in Fabric"
    WAREHOUSE = "Azure Synapse"

    @classmethod
    def of(cls, number: int) -> "EngineEdition":
        """By the server's number; one that is not known is taken for a box."""
        return _EDITIONS.get(number, cls.BOX)

    @property
    def is_one_database(self) -> bool:
        """True where a connection sees its own database only and rights are given inside it."""
        return self in (EngineEdition.AZURE_SQL_DB, EngineEdition.FABRIC)


_EDITIONS = {
    5: EngineEdition.AZURE_SQL_DB,
    6: EngineEdition.WAREHOUSE,
    8: EngineEdition.MANAGED_INSTANCE,
    9: EngineEdition.EDGE,
    11: EngineEdition.WAREHOUSE,
    12: EngineEdition.FABRIC,
}


def version_number(text: str) -> int:
    """`16.0.4135.4` as 16004135: major, two digits of minor, four of the build; 0 for what is no version."""
    parts = text.split(".")[:3]
    if len(parts) < 3 or not all(part.isdigit() for part in parts):
        return 0
    major, minor, build = (int(part) for part in parts)
    return major * _MAJOR + minor * _MINOR + min(build, _MINOR - 1)


def feature_level(edition: EngineEdition, number: int) -> int:
    """Where a server stands on the scale of RELEASES; the cloud ones all call themselves version 12."""
    if edition.is_one_database:
        return AZURE_LEVEL
    if edition is EngineEdition.MANAGED_INSTANCE:
        return max(number, _MANAGED_LEVEL)
    return number


def release_of(level: int) -> str:
    """`2016 SP2` for a level; the newest release that is not above it, empty below the first."""
    return next((name for name, first in reversed(tuple(RELEASES.items())) if first <= level), "")
