"""A stored reading of another version of the program: collection goes on, with nothing counted twice."""

from datetime import timedelta
from functools import partial

import pytest
import zstandard

from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.core.readings.lost_state import NOTE
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline.store.schema import counter_state
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, Fleet, assert_same_work, recorded
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, NOON, SALES, collected


def forget_counters(store: SqlStore) -> None:
    """Leave every state as a program would that kept one counter under another name."""
    table = counter_state
    with store._database.write() as connection:
        for number, body in connection.execute(
            table.select().with_only_columns(table.c.database_id, table.c.body_zstd)
        ):
            raw = zstandard.ZstdDecompressor().decompress(body)
            other = zstandard.ZstdCompressor().compress(raw.replace(b'"io_time_us"', b'"io_clock_s"'))
            changed = table.update().where(table.c.database_id == number)
            connection.execute(changed.values(body_zstd=other, body_digest=b"another"))


def test_a_state_that_cannot_be_used_still_tells_its_moment(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [11])])
    assert store.capture_states([SALES])[SALES].read_at == NOON
    forget_counters(store)
    state = store.capture_states([SALES])[SALES]
    assert (state.previous, state.read_at) == (None, NOON)
    later = NOON + FIVE_MINUTES
    assert store.record([collected(SALES, later, [11], previous=state.read_at)]) == frozenset()
    assert store.capture_states([SALES])[SALES].previous.read_at == later


@pytest.mark.parametrize(("source", "known", "known_again"), [("query_store", -30, 30), ("plan_cache", 0, 35)])
def test_after_a_change_of_counters_the_record_goes_on_and_holds_nothing_twice(store, source, known, known_again):
    """Intervals of a quarter of an hour: the one that runs at 08:20 is lost from then on, that of 08:30 is whole."""
    clock = FixedClock(START)
    fleet = Fleet(store, clock, SimulatedProvider("fleet", 2, clock=clock, statements=20, source=source))
    fleet.collect()
    fleet.tick(4)
    forget_counters(store)
    report = fleet.tick(by=timedelta(minutes=15))
    assert {(o.status, o.message, o.gap_seconds) for o in report.outcomes} == {
        (CollectionStatus.FIRST_READING, NOTE, 900.0)
    }
    assert {o.status for o in fleet.tick(5).outcomes} == {CollectionStatus.OK}
    for ref in fleet.refs:
        truth = partial(fleet.providers["fleet"].truth, ref.database)
        first = truth(START + timedelta(minutes=known), START + timedelta(minutes=20))
        rest = truth(START + timedelta(minutes=known_again), clock.moment)
        both = {key: first[key] + rest[key] for key in first.keys() & rest.keys()}
        alone = {key: work for part in (first, rest) for key, work in part.items() if key not in both}
        assert_same_work(recorded(store, ref), {**both, **alone})
