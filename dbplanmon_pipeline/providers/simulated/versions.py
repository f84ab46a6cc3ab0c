"""Releases of SQL Server that a simulated instance can act."""

from dataclasses import dataclass

from dbplanmon_pipeline.errors import SettingsError

EDITION = "Developer Edition (64-bit)"
_BUILDS_APART = 10


@dataclass(frozen=True, slots=True)
class SimulatedVersion:
    """One release; `number` is major * 1,000,000 + minor * 10,000 + build."""

    name: str
    number: int
    compatibility_level: int

    @property
    def product(self) -> str:
        """`SQL Server 2022`."""
        return f"SQL Server {self.name}"

    def build(self, updates: int) -> str:
        """`16.0.1000.1`, as the server writes it after so many updates."""
        major, rest = divmod(self.number + updates * _BUILDS_APART, 1_000_000)
        return f"{major}.{rest // 10_000}.{rest % 10_000}.1"

    @property
    def has_waits_and_spills(self) -> bool:
        """Query Store keeps them since 2017."""
        return self.number >= 14_000_000


_RELEASES = {
    "2016": SimulatedVersion("2016", 13_005_026, 130),
    "2017": SimulatedVersion("2017", 14_003_015, 140),
    "2019": SimulatedVersion("2019", 15_002_000, 150),
    "2022": SimulatedVersion("2022", 16_001_000, 160),
    "2025": SimulatedVersion("2025", 17_001_000, 170),
}


def simulated_version(name: str) -> SimulatedVersion:
    """By its year.

    Raises:
        SettingsError: nobody knows it.
    """
    if name not in _RELEASES:
        raise SettingsError(f"version must be one of {', '.join(_RELEASES)}, not {name!r}")
    return _RELEASES[name]
