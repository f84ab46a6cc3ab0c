"""What the quick constructor of a frozen class makes is a value of that class in every respect."""

import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from dbplanmon_pipeline.core.plans.sealing import unsealed
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator

quick_operator = unsealed(Operator)


def test_the_value_equals_one_of_the_slow_constructor():
    scan = quick_operator(kind=NodeKind.TABLE_SCAN, name="Table Scan", relation="orders", estimated_rows=5.0)

    assert scan == Operator(kind=NodeKind.TABLE_SCAN, name="Table Scan", relation="orders", estimated_rows=5.0)
    assert type(scan) is Operator
    assert repr(scan).startswith("Operator(kind=<NodeKind.TABLE_SCAN")


def test_the_value_is_frozen():
    scan = quick_operator(kind=NodeKind.TABLE_SCAN, name="Table Scan")

    with pytest.raises(FrozenInstanceError):
        scan.name = "Index Scan"


def test_values_do_not_share_what_a_default_makes():
    first, second = (quick_operator(kind=NodeKind.SORT, name="Sort") for _ in range(2))

    assert first.attributes == {}
    assert first.attributes is not second.attributes


def test_the_value_can_be_changed_into_another_and_sent_elsewhere():
    scan = quick_operator(kind=NodeKind.TABLE_SCAN, name="Table Scan")
    parent = quick_operator(kind=NodeKind.SORT, name="Sort", children=(scan,))

    assert replace(parent, name="Top").children == (scan,)
    assert pickle.loads(pickle.dumps(parent)) == parent
