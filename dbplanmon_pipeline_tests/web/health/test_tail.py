"""Counting what is new in a log: nothing twice, nothing lost, whatever is committed late or removed."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.web.metrics.labels import OTHER, Slots
from dbplanmon_pipeline.web.metrics.tail import OVERLAP, Tail

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def tail() -> Tail:
    return Tail(lambda row: row[0], lambda row: row[1])


def test_what_was_there_at_the_beginning_does_not_count():
    log = tail()
    assert log.new([("a", NOON)], NOON) == []
    assert log.new([("a", NOON), ("b", NOON)], NOON) == [("b", NOON)]


def test_a_row_that_is_committed_late_counts_once():
    log = tail()
    log.new([], NOON)
    assert log.new([("new", NOON + MINUTE)], NOON + MINUTE) == [("new", NOON + MINUTE)]
    late = ("late", NOON - OVERLAP + 3 * MINUTE)
    assert log.since(NOON + 2 * MINUTE) <= late[1]
    assert log.new([late, ("new", NOON + MINUTE)], NOON + 2 * MINUTE) == [late]
    assert log.new([late, ("new", NOON + MINUTE)], NOON + 3 * MINUTE) == []


@given(
    rows=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 50)), max_size=60, unique=True),
    readings=st.lists(st.integers(0, 700), min_size=1, max_size=20),
)
def test_every_row_counts_once_whenever_it_is_read(rows, readings):
    """A row carries minute `at` and is visible `delay` minutes later; after a last reading all of them counted."""
    log, counted = tail(), []
    log.new([], NOON - OVERLAP)
    for minute in [*sorted(readings), 700]:
        now = NOON + minute * MINUTE
        since = log.since(now)
        visible = [((at, delay), NOON + at * MINUTE) for at, delay in rows if at + delay <= minute]
        counted += log.new([row for row in visible if row[1] >= since], now)
    assert sorted(key for key, _ in counted) == sorted(rows)


def test_a_name_keeps_its_label_and_later_ones_share_one():
    slots = Slots(2)
    assert [slots.label(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]
    assert slots.names == {"a", "b", OTHER}
