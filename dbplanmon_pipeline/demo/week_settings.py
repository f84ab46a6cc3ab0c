"""The settings file of the week, and the simulated server that it watches."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dbplanmon_pipeline.core.ports import Clock, Provider
from dbplanmon_pipeline.demo.week_script import DATABASES, INSTANCE, STATEMENTS, faults
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.settings import InstanceSettings

WORKING, DEAD = "team", "pager"
"""The channel that takes everything, and the one that takes nothing."""

QUERY_STORE_MINUTES = 60

_TEXT = """\
# Written by `dbplanmon demo --engine simulated --days N`.
environment: development
state_dir: {folder}
collection: {{interval: {minutes}m, startup_delay: 0s}}
resilience: {{max_backoff: 1h}}
alerts:
  channels:
    - {{type: webhook, name: {working}, url: "{working_url}"}}
    - {{type: webhook, name: {dead}, url: "{dead_url}"}}
instances:
  - name: {instance}
    engine: simulated
    databases: [{databases}]
    options: {{statements: {statements}, interval_minutes: {query_store_minutes}}}
"""


@dataclass(frozen=True, slots=True)
class WeekPlace:
    """Where and how a week is played.

    Attributes:
        folder: for settings, store and pages.
        days: length of the story.
        cadence: time between two collections; a divisor of an hour.
    """

    folder: Path
    days: int
    cadence: timedelta = timedelta(minutes=5)

    @property
    def settings_file(self) -> Path:
        """What a restart reads."""
        return self.folder / "dbplanmon.yaml"

    def write_settings(self, working_url: str, dead_url: str) -> None:
        """Write the settings file."""
        text = _TEXT.format(
            folder=self.folder,
            minutes=self.cadence // timedelta(minutes=1),
            working=WORKING,
            working_url=working_url,
            dead=DEAD,
            dead_url=dead_url,
            instance=INSTANCE,
            databases=", ".join(DATABASES),
            statements=STATEMENTS,
            query_store_minutes=QUERY_STORE_MINUTES,
        )
        self.settings_file.write_text(text, encoding="utf-8")


def week_provider(instance: InstanceSettings, clock: Clock) -> Provider:
    """The simulated SQL Server with everything that goes wrong with it."""
    return SimulatedProvider(
        instance.name,
        instance.databases.names,
        clock=clock,
        statements=instance.options.statements,
        interval_minutes=instance.options.interval_minutes,
        faults=faults(),
    )
