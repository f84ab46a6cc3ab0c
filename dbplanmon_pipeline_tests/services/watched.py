"""One simulated database that is read into a store, and what the store should then hold of it."""

from datetime import timedelta

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline_tests.services.fleets import (
    START,
    STEP,
    AlteredProvider,
    Fleet,
    Wrapped,
    assert_same_work,
    recorded,
)
from dbplanmon_pipeline_tests.services.stories import REF

ONE = DatabaseRef("fleet", "sim0001")


class Watched:
    """One simulated database that is read into a store; remembers when."""

    def __init__(self, store, clock, *faults, alter=None, **options):
        options = {"statements": 12, "seed": 5, "faults": faults, **options}
        if alter:
            self.provider = AlteredProvider("fleet", 1, clock=clock, alter=alter, **options)
        else:
            self.provider = SimulatedProvider("fleet", 1, clock=clock, **options)
        self.fleet = Fleet(store, clock, self.provider)
        self.store, self.clock, self.moments = store, clock, []

    def read(self, times=1, by=STEP):
        """Let time pass and read, so many times; the first reading of all is made at once. Returns the last outcome."""
        for _ in range(times):
            self.clock.advance(by if self.moments else timedelta())
            report = self.fleet.collect()
            if report.outcomes[0].status is not CollectionStatus.FAILED:
                self.moments.append(self.clock())
        return report.outcomes[0]

    @property
    def rows(self):
        return self.store.interval_frame(START - timedelta(hours=2), self.clock(), databases=[ONE]).rows

    def assert_recorded_is_what_could_be_known(self):
        """No execution, microsecond or page more or less than this source could tell at these moments."""
        assert_same_work(recorded(self.store, ONE), self.provider.recordable("sim0001", self.moments))


def ordered(kind, starts=START, ends=None, statement=0, **options):
    """A fault of the only database."""
    return SimulatedFault(str(kind), "sim0001", statement, FaultKind(kind), starts, ends, **options)


def altered(database, reader, change):
    """The reader with its readings changed in one database."""
    if database != REF.database:
        return reader
    return Wrapped(reader, read_counters=lambda previous=None: change(reader.read_counters(previous)))
