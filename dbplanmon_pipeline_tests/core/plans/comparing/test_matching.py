from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.diff import diff_plans
from dbplanmon_pipeline.core.plans.comparing.matching import NodeChange, match_plans
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, Plan, PlanStatement
from dbplanmon_pipeline_tests.core.plans import corpus, showplans

SAME, CHANGED, GONE, NEW = NodeChange


def read(name, alias="", index="", kind=NodeKind.INDEX_SEEK, operator="Index Seek", rows=1.0, **fields):
    return Operator(kind, operator, relation=name, alias=alias, index=index, estimated_rows=rows, **fields)


def scan(name, **fields):
    return read(name, kind=NodeKind.TABLE_SCAN, operator="Table Scan", **fields)


def over(name, kind, *children, **fields):
    return Operator(kind, name, children=children, **fields)


def loops(*children):
    return over("Nested Loops", NodeKind.NESTED_LOOPS, *children)


def merged(*children):
    return over("Merge Join", NodeKind.MERGE_JOIN, *children)


def sort(child):
    return over("Sort", NodeKind.SORT, child)


def plan(*roots):
    return Plan(Engine.SQLSERVER, tuple(PlanStatement(root, kind="SELECT") for root in roots))


def mapping(old, new):
    """(change, name of the old operator, name of the new one, what changed) of one statement each."""
    (statement,) = match_plans(plan(old), plan(new))
    was, now = list(old.walk()), list(new.walk())
    return [
        (
            one.change,
            "" if one.old is None else f"{was[one.old].name} {was[one.old].relation}".strip(),
            "" if one.new is None else f"{now[one.new].name} {now[one.new].relation}".strip(),
            one.what,
        )
        for one in statement.nodes
    ]


def test_a_seek_that_became_a_scan_is_the_same_read_changed():
    assert mapping(sort(read("t", index="ix")), sort(scan("t"))) == [
        (SAME, "Sort", "Sort", ()),
        (CHANGED, "Index Seek t", "Table Scan t", ("Index Seek became Table Scan",)),
    ]


def test_an_operator_in_between_moves_nobody():
    assert mapping(loops(read("a"), read("b")), loops(sort(read("a")), read("b"))) == [
        (SAME, "Nested Loops", "Nested Loops", ()),
        (NEW, "", "Sort", ()),
        (SAME, "Index Seek a", "Index Seek a", ()),
        (SAME, "Index Seek b", "Index Seek b", ()),
    ]


def test_inputs_in_another_order_are_found_by_their_tables():
    assert mapping(loops(read("a"), scan("b")), loops(scan("b"), read("a"))) == [
        (CHANGED, "Nested Loops", "Nested Loops", ("other driving table",)),
        (SAME, "Table Scan b", "Table Scan b", ()),
        (SAME, "Index Seek a", "Index Seek a", ()),
    ]


def test_another_join_order_keeps_its_joins():
    found = mapping(merged(loops(read("a"), read("b")), read("c")), merged(loops(read("b"), read("c")), read("a")))
    assert [one[0] for one in found] == [CHANGED, CHANGED, SAME, CHANGED, CHANGED]
    assert [one[3] for one in found[:2]] == [("other driving table",), ("other tables below",)]
    assert {one[3] for one in found[3:]} == {("other place",)}


def test_a_lookup_that_came_is_new_and_its_seek_is_the_one_before():
    lookup = read("t", kind=NodeKind.LOOKUP, operator="Key Lookup", index="pk")
    assert [one[:3] for one in mapping(read("t", index="ix"), loops(read("t", index="ix"), lookup))] == [
        (NEW, "", "Nested Loops"),
        (SAME, "Index Seek t", "Index Seek t"),
        (NEW, "", "Key Lookup t"),
    ]


def test_what_changed_is_told_from_the_most_telling_on():
    before = read("t", index="a", rows=2.0)
    after = read("t", index="b", rows=900.0, parallel=True)
    assert mapping(before, after) == [
        (
            CHANGED,
            "Index Seek t",
            "Index Seek t",
            ("index a became b", "serial became parallel", "rows 2 became 900"),
        )
    ]


def test_another_table_at_the_same_place_is_a_change():
    assert mapping(sort(scan("a")), sort(scan("b"))) == [
        (SAME, "Sort", "Sort", ()),
        (CHANGED, "Table Scan a", "Table Scan b", ("a became b",)),
    ]


def test_names_the_server_makes_up_are_no_change():
    before = read("@t", index="PK__#A543AE0__A429706A10891B8E")
    after = read("@t", index="PK__#B92534A__A429706A330F4B4B")
    assert mapping(before, after)[0][0] == SAME
    before = read("Orders", index="PK__Orders__C3905BCF4B981A07")
    assert mapping(before, read("Orders", index="PK__Orders__00F64C6E"))[0][0] == SAME
    assert mapping(before, read("Orders", index="UQ__Orders__00F64C6E"))[0][0] == CHANGED
    temporary = [scan(f"#t{'_' * 90}{number}") for number in ("00000000A1B2", "00000000C3D4")]
    assert mapping(*temporary)[0][0] == SAME


def test_a_clustered_key_that_was_made_anew_is_no_change_and_another_clustered_index_is():
    def clustered(index):
        return read("Orders", kind=NodeKind.INDEX_SCAN, operator="Clustered Index Scan", index=index)

    assert mapping(clustered("PK_Orders"), clustered("PK__Orders__C3905BCF4B981A07"))[0][0] == SAME
    assert mapping(clustered("PK_Orders"), clustered("CX_Day"))[0][3] == ("index PK_Orders became CX_Day",)


def test_an_alias_that_only_got_another_name_is_no_change():
    before = read("orders", alias="o", conditions=(("Seek Predicate", "[o].[id] = [@p]"),))
    after = read("orders", alias="o_1", conditions=(("Seek Predicate", "[o_1].[id] = [@p]"),))
    assert mapping(before, after) == [(SAME, "Index Seek orders", "Index Seek orders", ())]


def test_statements_are_paired_by_what_they_are_about_not_by_place():
    one, two = plan(read("a"), read("b")), plan(read("b"), read("a"))
    assert [(statement.old, statement.new) for statement in match_plans(one, two)] == [(1, 0), (0, 1)]
    three = plan(read("c"), read("a"))
    assert [(statement.old, statement.new) for statement in match_plans(one, three)] == [(None, 0), (0, 1), (1, None)]


TABLES = st.sampled_from("abcd")
READS = st.one_of(
    st.builds(read, TABLES, index=st.sampled_from(["", "i1", "i2"]), rows=st.sampled_from([1.0, 5.0, 800.0])),
    st.builds(scan, TABLES),
)


def _grown(inner):
    joined = st.tuples(inner, inner)
    return st.one_of(
        st.builds(sort, inner), st.builds(lambda two: loops(*two), joined), st.builds(lambda two: merged(*two), joined)
    )


TREES = st.recursive(READS, _grown, max_leaves=12)
FEW = settings(max_examples=100, deadline=None, derandomize=True)


def everything(old, new):
    (statement,) = match_plans(plan(old), plan(new))
    return statement.nodes


@FEW
@given(TREES)
def test_a_tree_is_the_same_as_itself(tree):
    nodes = everything(tree, tree)
    assert [(one.change, one.old) for one in nodes] == [(SAME, number) for number in range(len(nodes))]
    assert all(one.old == one.new for one in nodes)
    assert diff_plans(plan(tree), plan(tree)).changes == ()


@FEW
@given(TREES, TREES)
def test_every_operator_stands_in_the_mapping_once(old, new):
    nodes = everything(old, new)
    assert sorted(one.old for one in nodes if one.old is not None) == list(range(sum(1 for _ in old.walk())))
    assert sorted(one.new for one in nodes if one.new is not None) == list(range(sum(1 for _ in new.walk())))


MIRRORED = {SAME: SAME, CHANGED: CHANGED, GONE: NEW, NEW: GONE}


@FEW
@given(TREES, TREES)
def test_the_way_back_is_the_mirror_of_the_way_there(old, new):
    there, back = everything(old, new), everything(new, old)
    assert Counter((MIRRORED[one.change], one.new, one.old) for one in there) == Counter(
        (one.change, one.old, one.new) for one in back
    )
    changes = [diff_plans(*pair).changes for pair in ((plan(old), plan(new)), (plan(new), plan(old)))]
    counts = [Counter(one.kind for one in side) for side in changes]
    assert counts[0] == counts[1]


def swapped(tree):
    return Operator(
        tree.kind,
        tree.name,
        relation=tree.relation,
        alias=tree.alias,
        index=tree.index,
        estimated_rows=tree.estimated_rows,
        children=tuple(map(swapped, reversed(tree.children))),
    )


@FEW
@given(TREES)
def test_no_order_of_inputs_loses_an_operator(tree):
    nodes = everything(tree, swapped(tree))
    assert {one.change for one in nodes} <= {SAME, CHANGED}


@FEW
@given(TREES, st.data())
def test_one_planted_operator_is_the_only_new_one(tree, data):
    place = data.draw(st.integers(0, sum(1 for _ in tree.walk()) - 1))
    nodes = everything(tree, planted(tree, [place]))
    assert Counter(one.change for one in nodes)[NEW] == 1
    assert {one.change for one in nodes} <= {SAME, CHANGED, NEW}


def planted(tree, left):
    """The tree with a Top above the operator that stands at this place."""
    here = left[0] == 0
    left[0] -= 1
    made = Operator(
        tree.kind,
        tree.name,
        relation=tree.relation,
        index=tree.index,
        estimated_rows=tree.estimated_rows,
        children=tuple(planted(child, left) for child in tree.children),
    )
    return over("Top", NodeKind.TOP, made) if here else made


def changed(tree, left, change):
    """The tree with one operator changed, the one that stands at this place."""
    here = left[0] == 0
    left[0] -= 1
    made = replace(tree, children=tuple(changed(child, left, change) for child in tree.children))
    return change(made) if here else made


def made_worse(operator):
    if operator.kind.reads_relation:
        return replace(operator, kind=NodeKind.INDEX_SCAN, name="Index Scan")
    if operator.kind.is_join:
        return replace(operator, kind=NodeKind.HASH_JOIN, name="Hash Match")
    return replace(operator, kind=NodeKind.TOP, name="Top")


def expected_of(operator):
    """Kind and words of the change that `made_worse` makes."""
    if operator.kind.reads_relation:
        return "access_path", operator.name
    return ("join_type", f"{operator.name} became Hash Match") if operator.kind.is_join else ("sort", "gone: a Sort")


@FEW
@given(TREES, st.data())
def test_one_changed_operator_is_named(tree, data):
    place = data.draw(st.integers(0, sum(1 for _ in tree.walk()) - 1))
    before, after = list(tree.walk())[place], changed(tree, [place], made_worse)
    found = diff_plans(plan(tree), plan(after))
    kind, words = expected_of(before)
    assert any(one.kind == kind and words in one.text for one in found.changes)
    assert {one.change for one in everything(tree, after)} - {SAME}


@pytest.mark.parametrize("entry", corpus.entries()[::7])
def test_every_operator_of_a_real_plan_of_postgres_is_its_own_mate(entry):
    found = parse_pg_plan(corpus.text_of(entry))
    assert {one.change for statement in match_plans(found, found) for one in statement.nodes} == {SAME}


@pytest.mark.parametrize("entry", showplans.entries()[::7])
def test_every_operator_of_a_real_showplan_is_its_own_mate(entry):
    found = parse_showplan(showplans.text_of(entry))
    told = [one for statement in match_plans(found, found) for one in statement.nodes]
    assert len(told) == sum(1 for _ in found.operators())
    assert {one.change for one in told} <= {SAME}
