"""What a person can choose when launching a run by hand."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from dbplanmon_pipeline.core.shards import Shard
from dbplanmon_pipeline.errors import SettingsError


class CollectionConfig(dg.Config):
    """Which databases to read."""

    databases: list[str] = Field(
        default=[], description="`instance` or `instance/database`; empty reads everything the settings name."
    )


class CollectionRunConfig(CollectionConfig):
    """Which databases to read, or which part of the fleet."""

    shard: str = Field(
        default="", description="Such as `2/4`: the second of four parts of the fleet; not together with `databases`."
    )

    def part(self) -> Shard | None:
        """The part, None for everything.

        Raises:
            SettingsError: it is none, or databases are named as well.
        """
        if not self.shard:
            return None
        if self.databases:
            raise SettingsError("name databases or a shard, not both")
        try:
            return Shard.parse(self.shard)
        except ValueError as error:
            raise SettingsError(f"shard: {error}") from None


class MomentConfig(dg.Config):
    """As of when to judge."""

    as_of: str = Field(
        default="",
        description="ISO time with zone, for example 2026-11-22T10:00:00+00:00; empty is the newest reading.",
    )

    def moment(self) -> datetime | None:
        """The time, None for the newest reading.

        Raises:
            SettingsError: it is none, or has no zone.
        """
        return read_moment("as_of", self.as_of)


def read_moment(name: str, text: str) -> datetime | None:
    """A moment of a run config, None for the empty text.

    Raises:
        SettingsError: it is none, or has no zone.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except ValueError:
        pass
    raise SettingsError(f"{name}: {text!r} is no ISO time with zone, such as 2026-11-22T10:00:00+00:00")
