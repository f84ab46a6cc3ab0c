"""What a person can choose when launching a run by hand."""

import dagster as dg
from pydantic import Field


class CollectionConfig(dg.Config):
    """Which databases to read."""

    databases: list[str] = Field(
        default=[], description="`instance` or `instance/database`; empty reads everything the settings name."
    )


class MomentConfig(dg.Config):
    """As of when to judge."""

    as_of: str = Field(
        default="",
        description="ISO time with zone, for example 2026-11-22T10:00:00+00:00; empty is the newest reading.",
    )
