"""Partitions that are read alike are one operator, and nothing else is; the provider's tests ask real servers."""

import pytest

from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.partitions import gathered
from dbplanmon_pipeline.core.plans.postgres.shape import plan_hash_of_pg


def scan(relation, alias, index="", **more):
    own = {"Relation Name": relation, "Alias": alias, "Plan Rows": 10, "Total Cost": 4.5, "Rows Removed by Filter": 3}
    kind = {"Node Type": "Index Scan", "Index Name": index} if index else {"Node Type": "Seq Scan"}
    return {**kind, **own, "Filter": f"({alias}.a = $1)", **more}


def append(*children, **more):
    return [{"Plan": {"Node Type": "Append", "Plan Rows": 30, "Total Cost": 14, "Plans": list(children), **more}}]


def reads(document):
    (statement,) = gathered(parse_pg_plan(document)).statements
    return [(node.relation, node.alias, node.index) for node in statement.operators() if node.relation]


def test_figures_of_all_partitions_are_summed():
    document = append(scan("t_1", "t_1", ""), scan("t_2", "x_2", ""), scan("t_30", "x_3", ""))
    document[0]["Plan"]["Plans"][0]["Alias"] = "x_1"
    document[0]["Plan"]["Plans"][0]["Filter"] = "(x_1.a = $1)"
    (statement,) = gathered(parse_pg_plan(document)).statements
    (one,) = statement.root.children

    assert (one.relation, one.alias, one.estimated_rows, one.estimated_cost) == ("t_*", "x", 30, 13.5)
    assert one.conditions == (("Filter", "(x.a = $1)"),)
    assert one.attributes == {"Rows Removed by Filter": 9, "Partitions": 3}


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (("log_2026_01", "log_2026_02"), "log_*_*"),
        (("log_eu", "log_us"), "log_*"),
        (("log_eu_2", "log_us_1"), "log_*_*"),
        (("eu_log", "us_log"), "*_log"),
    ],
)
def test_a_star_stands_for_what_differs(names, seen):
    document = append(*(scan(name, f"l_{number}", f"{name}_a_idx") for number, name in enumerate(names, 1)))
    assert reads(document) == [(seen, "l", f"{seen}_a_idx")]


def test_partitions_that_are_read_otherwise_stay_apart():
    document = append(scan("t_1", "x_1", "t_1_i"), scan("t_2", "x_2"), scan("t_3", "x_3", "t_3_i"))
    assert reads(document) == [("t_*", "x", "t_*_i"), ("t_2", "x_2", "")]


@pytest.mark.parametrize(
    "document",
    [
        append(scan("t", "t"), scan("t", "t_1"), scan("t", "t_2")),
        append(scan("a", "a"), scan("b", "b")),
        append(scan("t", "t_1"), scan("b", "b"), scan("t", "t_2")),
        append({"Node Type": "Result"}, {"Node Type": "Result"}),
        [{"Plan": {"Node Type": "Nested Loop", "Plans": [scan("t_1", "x_1"), scan("t_2", "x_2")]}}],
    ],
    ids=["the same table thrice", "two tables", "a table around another", "no tables", "a join"],
)
def test_what_is_no_partition_is_left_as_it_is(document):
    plan = parse_pg_plan(document)
    assert gathered(plan) == plan


def test_partitions_joined_in_pairs_are_one_join():
    pairs = [
        {
            "Node Type": "Hash Join",
            "Hash Cond": f"(a_{number}.k = b_{number}.k)",
            "Plans": [scan(f"o_{number}", f"a_{number}"), scan(f"p_{number}", f"b_{number}")],
        }
        for number in (1, 2, 3)
    ]
    plan = gathered(parse_pg_plan(append(*pairs)))

    assert [(node.name, node.target) for node in plan.operators()] == [
        ("Append", ""),
        ("Hash Join", ""),
        ("Seq Scan", "o_* a"),
        ("Seq Scan", "p_* b"),
    ]


def test_chunks_of_timescale_are_partitions():
    chunks = [scan(f"_hyper_1_{n}_chunk", f"_hyper_1_{n}_chunk", f"_hyper_1_{n}_chunk_i") for n in (7, 8)]
    document = append(*chunks, **{"Node Type": "Custom Scan", "Custom Plan Provider": "ChunkAppend"})
    assert reads(document) == [("_hyper_*_*_chunk", "", "_hyper_*_*_chunk_i")]


def shape(*children):
    return plan_hash_of_pg(append(*children))


def test_one_more_partition_is_the_same_plan():
    two = shape(scan("t_1", "x_1", "t_1_i"), scan("t_2", "x_2", "t_2_i"))
    assert shape(*(scan(f"t_{n}", f"x_{n}", f"t_{n}_i") for n in range(1, 9))) == two
    assert shape(scan("t_1", "x_1", "t_1_j"), scan("t_2", "x_2", "t_2_j")) != two
    assert shape(scan("t_1", "x_1"), scan("t_2", "x_2")) != two


def test_which_partition_is_read_otherwise_makes_no_other_plan():
    first = shape(scan("t_1", "x_1"), scan("t_2", "x_2", "t_2_i"), scan("t_3", "x_3", "t_3_i"))
    last = shape(scan("t_2", "x_2", "t_2_i"), scan("t_3", "x_3", "t_3_i"), scan("t_4", "x_4"))
    assert first != last, "a single one keeps its name: it may be the one that matters"


def test_tables_of_a_union_are_no_partitions_of_its_plan():
    assert shape(scan("a", "a"), scan("b", "b")) != shape(scan("a", "a"), scan("b", "b"), scan("c", "c"))
    assert shape(scan("t", "t_1"), scan("t", "t_2")) != shape(scan("t", "t_1"), scan("t", "t_2"), scan("t", "t_3"))
