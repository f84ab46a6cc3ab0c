"""Parts of a fleet: together they are all of it, none overlaps another, and none is much larger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.core.shards import Shard, shards_of

NAMES = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40)


@given(NAMES, st.integers(1, 12))
def test_shards_are_the_whole_fleet_without_overlap_and_of_even_size(names, count):
    parts = [Shard(number, count).of(names) for number in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(NAMES, st.integers(1, 12))
def test_the_order_of_the_settings_does_not_matter(names, count):
    assert Shard(1, count).of(names) == Shard(1, count).of(reversed(names))


def test_neighbours_by_name_are_spread():
    names = [f"sql-{number:02}" for number in range(20)]
    assert Shard(1, 2).of(names) not in (names[:10], names[::2], names[1::2])


@pytest.mark.parametrize(
    ("wanted", "instances", "expected"),
    [(1, 9, []), (3, 9, ["1/3", "2/3", "3/3"]), (4, 2, ["1/2", "2/2"]), (4, 1, []), (4, 0, [])],
)
def test_there_are_never_more_shards_than_instances(wanted, instances, expected):
    assert [str(shard) for shard in shards_of(wanted, instances)] == expected


def test_text_and_back():
    assert Shard.parse("2/4") == Shard(2, 4)
    assert str(Shard(2, 4)) == "2/4"


@pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1/10000000"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match="is no shard such as 2/4"):
        Shard.parse(text)
