import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.core.grouping import parts_of_instances, whole_instances
from dbplanmon_pipeline.core.model import DatabaseRef


def refs(**counts):
    return [DatabaseRef(name, f"db{n}") for name, count in counts.items() for n in range(count)]


def sizes(groups):
    return [len(group) for group in groups]


def test_small_instances_share_a_group():
    assert sizes(whole_instances(refs(a=2, b=1, c=3), 3)) == [3, 3]


def test_a_whole_instance_is_never_split():
    groups = whole_instances(refs(a=1, big=7, z=1), 3)

    assert sizes(groups) == [1, 7, 1]


def test_parts_of_a_large_instance_stay_within_the_bound():
    assert sizes(parts_of_instances(refs(big=7, z=2), 3)) == [3, 3, 3]


def test_no_databases_make_no_groups():
    assert whole_instances([], 3) == parts_of_instances([], 3) == []


@pytest.mark.parametrize("group", [whole_instances, parts_of_instances])
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(min_value=1, max_value=9)),
    st.integers(min_value=1, max_value=8),
)
def test_every_database_is_in_exactly_one_group(group, counts, most):
    everything = refs(**counts)

    assert sorted(ref for members in group(everything, most) for ref in members) == sorted(everything)
