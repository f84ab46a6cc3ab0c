import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.tree import NodeKind
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans.corpus import FOLDER, entries, text_of

SCAN = {
    "Node Type": "Index Scan",
    "Parent Relationship": "Outer",
    "Schema": "public",
    "Relation Name": "orders",
    "Alias": "o",
    "Index Name": "orders_customer",
    "Scan Direction": "Backward",
    "Parallel Aware": True,
    "Index Cond": "(customer_id = $1)",
    "Startup Cost": 0.29,
    "Total Cost": 8.31,
    "Plan Rows": 3,
    "Plan Width": 40,
    "Actual Rows": 2.5,
    "Actual Loops": 4,
    "Actual Total Time": 0.02,
    "Heap Fetches": 7,
}
LIMIT = {"Node Type": "Limit", "Total Cost": 9, "Plans": [SCAN]}


@pytest.mark.parametrize("entry", entries())
def test_every_real_plan_has_the_operators_its_manifest_counts(entry):
    plan = parse_pg_plan(text_of(entry))
    expected = entry["facts"].get("nodes")
    if expected is None:
        expected = text_of(entry).count('"Node Type"')
    assert plan.counts["operators"] == sum(1 for _ in plan.operators()) == expected


@pytest.mark.parametrize("entry", entries())
def test_every_real_operator_has_a_kind(entry):
    names = {operator.name for operator in parse_pg_plan(text_of(entry)).operators() if operator.kind == NodeKind.OTHER}
    assert names <= {"Merge"}


@pytest.mark.skipif(not FOLDER.exists(), reason="../shared/data/pgplans is not here")
def test_framed_and_bare_forms_of_one_plan_are_equal():
    folder = FOLDER / "unifiedqueryplan+unifiedqueryplan.github.io"
    for framed in sorted(folder.glob("*.psql.txt")):
        bare = framed.with_name(framed.name.replace(".psql.txt", ".json"))
        assert parse_pg_plan(framed.read_text()) == parse_pg_plan(bare.read_text())


def test_an_operator_carries_names_figures_and_conditions():
    scan = parse_pg_plan([{"Plan": LIMIT, "Query Identifier": -5}]).statements[0].root.children[0]
    assert (scan.kind, scan.name, scan.role) == (NodeKind.INDEX_SEEK, "Index Scan", "Outer")
    assert (scan.schema, scan.relation, scan.alias, scan.index) == ("public", "orders", "o", "orders_customer")
    assert (scan.direction, scan.parallel, scan.target) == ("Backward", True, "public.orders o")
    assert scan.conditions == (("Index Cond", "(customer_id = $1)"),)
    assert (scan.startup_cost, scan.estimated_cost, scan.estimated_rows, scan.estimated_width_bytes) == (
        0.29,
        8.31,
        3,
        40,
    )
    assert (scan.actual_rows, scan.actual_loops, scan.actual_ms) == (2.5, 4, 0.02)
    assert scan.attributes == {"Heap Fetches": 7}


def test_a_statement_carries_identity_and_cost():
    plan = parse_pg_plan([{"Plan": LIMIT, "Query Identifier": -5, "Query Text": "select", "Planning Time": 1.5}])
    statement = plan.statements[0]
    assert plan.engine == Engine.POSTGRES
    assert (statement.query_hash, statement.text, statement.kind, statement.estimated_cost) == (
        -5,
        "select",
        "SELECT",
        9,
    )
    assert statement.plan_hash != 0
    assert statement.attributes == {"Query Identifier": -5, "Planning Time": 1.5}


def test_an_index_read_without_condition_is_a_scan_of_the_whole_index():
    whole = {key: value for key, value in SCAN.items() if key != "Index Cond"}
    assert parse_pg_plan(whole).statements[0].root.kind == NodeKind.INDEX_SCAN


def test_subplans_init_plans_and_ctes_are_children_with_their_role():
    inner = [
        {"Node Type": "Seq Scan", "Parent Relationship": role, "Subplan Name": name}
        for role, name in (("InitPlan", "CTE recent"), ("InitPlan", "InitPlan 2"), ("SubPlan", "SubPlan 3"))
    ]
    root = parse_pg_plan({"Plan": {"Node Type": "CTE Scan", "Plans": inner}}).statements[0].root
    assert [child.role for child in root.children] == ["InitPlan", "InitPlan", "SubPlan"]
    assert [child.attributes["Subplan Name"] for child in root.children] == ["CTE recent", "InitPlan 2", "SubPlan 3"]


@pytest.mark.parametrize(
    "source",
    [
        [{"Plan": LIMIT}],
        {"Plan": LIMIT},
        LIMIT,
        json.dumps([{"Plan": LIMIT}]),
        json.dumps(LIMIT),
        "LOG: [12] duration: 3 ms  plan:\n" + json.dumps({"Query Text": "x", "Plan": LIMIT}),
        '"' + json.dumps([{"Plan": LIMIT}], indent=1).replace('"', '""') + '"',
        "\n".join(f'"{line}"' for line in json.dumps([{"Plan": LIMIT}], indent=1).replace('"', '""').splitlines()),
        "QUERY PLAN\n-----\n" + " +\n".join(json.dumps([{"Plan": LIMIT}], indent=1).splitlines()) + "\n(1 row)\n",
    ],
    ids=["list", "dict", "node", "text", "node text", "log line", "quoted", "quoted lines", "psql"],
)
def test_every_wrapping_gives_the_same_tree(source):
    assert parse_pg_plan(source).statements[0].root == parse_pg_plan([{"Plan": LIMIT}]).statements[0].root


def test_several_statements_are_all_there():
    plan = parse_pg_plan([{"Plan": LIMIT}, {"Plan": SCAN}])
    assert plan.counts == {"statements": 2, "operators": 3}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("hello [1] {2}", "no output of EXPLAIN"),
        ("[]", "no output of EXPLAIN"),
        ("<ShowPlanXML/>", "XML"),
        ("Seq Scan on t  (cost=a..b rows=1 width=4)", "no line of this EXPLAIN"),
        ('[{"Plan": {"Node Type": "Limit"', "damaged or cut off"),
        (json.dumps([{"Plan": LIMIT}]) + '\n[{"Plan": {"Node Type": "Limit"', "the last one in the text is cut off"),
        ("-> Limit: 5 row(s)  (cost=2.35 rows=5) (actual time=0.03..0.04 rows=5 loops=1)", "EXPLAIN of MySQL"),
        ("Sort  (cost=1.00..2.00 rows=1 width=4) Sort Key: a ->  Result  (cost=0.00..0.01 rows=1 width=4)", "indents"),
        (" QUERY PLAN\n\\begin{tabular}{l}\nLimit  (cost=1.00..2.00 rows=1 width=4) \\\\", "LaTeX"),
        ('{"Plan": {"Total Cost": 1}}', "no output of EXPLAIN"),
        ('["Utility Statement"]', "utility statement"),
        ([], "empty"),
        (None, "Node Type"),
        (7, "Node Type"),
        ({"Node Type": ""}, "Node Type"),
        ({"Node Type": "Limit", "Plans": ""}, "Plans"),
        ({"Node Type": "Limit", "Plans": {}}, "Plans"),
        ([{"Plan": LIMIT}, "x"], "Node Type"),
        ({"Node Type": "Limit", "Plans": "x"}, "Plans"),
        ({"Node Type": "Limit", "Plans": [1]}, "Plans"),
        ("[" * 100_000, "nested"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(source, expected):
    with pytest.raises(PlanParseError, match=expected) as refused:
        parse_pg_plan(source)
    assert "\n" not in str(refused.value)


def test_a_tree_deeper_than_any_real_one_is_refused_not_crashed_on():
    node = {"Node Type": "Limit"}
    for _ in range(5000):
        node = {"Node Type": "Limit", "Plans": [node]}
    with pytest.raises(PlanParseError, match="nested"):
        parse_pg_plan(node)


def test_figures_that_are_no_numbers_are_unknown():
    root = parse_pg_plan({"Node Type": "Limit", "Plan Rows": "many", "Total Cost": True}).statements[0].root
    assert (root.estimated_rows, root.estimated_cost) == (None, None)


@pytest.mark.parametrize("kept", [0.35, 0.6, 0.9, 0.98])
def test_a_plan_that_was_cut_off_is_refused_not_read_in_part(kept):
    text = json.dumps([{"Plan": {"Node Type": "Append", "Plans": [LIMIT, SCAN, LIMIT]}}], indent=1)
    with pytest.raises(PlanParseError):
        parse_pg_plan(text[: round(len(text) * kept)])


NAMES = st.sampled_from(["Plan", "Plans", "Node Type", "Total Cost", "Alias", "Filter", "Query Identifier", "x"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("Seq Scan"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


def complaint_about(source):
    """Why a source is refused; empty when it was read and has operators."""
    try:
        return "" if parse_pg_plan(source).counts["operators"] else "no operators\n"
    except PlanParseError as refused:
        return str(refused)


@given(DOCUMENTS)
@settings(max_examples=150, deadline=None)
def test_any_document_is_read_or_refused(document):
    for source in (document, json.dumps(document)):
        assert "\n" not in complaint_about(source)


@given(st.text(alphabet='[]{}",:+│ \n1aPlan', max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(text):
    assert "\n" not in complaint_about(text)


def test_figures_beyond_all_measure_are_unknown():
    assert parse_pg_plan({"Node Type": "Limit", "Plan Rows": 10**400}).statements[0].root.estimated_rows is None


def test_a_figure_too_long_to_read_is_refused():
    with pytest.raises(PlanParseError):
        parse_pg_plan(f'{{"Node Type": "Limit", "Plan Rows": {"9" * 5000}}}')


@pytest.mark.parametrize(("identifier", "expected"), [(-(1 << 63), -(1 << 63)), (1 << 63, 0), ("7", 0)])
def test_only_a_signed_64_bit_identifier_is_a_query_hash(identifier, expected):
    assert parse_pg_plan({"Plan": LIMIT, "Query Identifier": identifier}).statements[0].query_hash == expected


def test_walk_goes_parents_first_and_outer_before_inner():
    tree = {
        "Node Type": "Hash Join",
        "Plans": [{"Node Type": "Seq Scan"}, {"Node Type": "Hash", "Plans": [{"Node Type": "Index Scan"}]}],
    }
    names = [operator.name for operator in parse_pg_plan(tree).operators()]
    assert names == ["Hash Join", "Seq Scan", "Hash", "Index Scan"]


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ({"Node Type": "Custom Scan", "Custom Plan Provider": "Citus Adaptive"}, NodeKind.REMOTE),
        ({"Node Type": "Custom Scan", "Custom Plan Provider": "Citus INSERT ... SELECT"}, NodeKind.MODIFY),
        ({"Node Type": "Custom Scan", "Custom Plan Provider": "ChunkAppend"}, NodeKind.APPEND),
        ({"Node Type": "Custom Scan", "Custom Plan Provider": "GpuPreAgg", "Relation Name": "t"}, NodeKind.AGGREGATE),
        ({"Node Type": "Custom Scan", "Custom Plan Provider": "Far", "Relation Name": "t"}, NodeKind.TABLE_SCAN),
        (
            {"Node Type": "Custom Scan", "Custom Plan Provider": "Far", "Relation Name": "t", "Plans": [SCAN]},
            NodeKind.COMPUTE,
        ),
        ({"Node Type": "Custom Scan"}, NodeKind.OTHER),
        ({"Node Type": "Redistribute Motion"}, NodeKind.EXCHANGE),
        ({"Node Type": "Dynamic Seq Scan"}, NodeKind.TABLE_SCAN),
        ({"Node Type": "YB Batched Nested Loop"}, NodeKind.NESTED_LOOPS),
    ],
)
def test_operators_of_extensions_and_descendants_have_a_kind(node, kind):
    (root, *_) = parse_pg_plan([{"Plan": node}]).operators()
    assert (root.kind, root.strategy) == (kind, node.get("Custom Plan Provider", ""))


def test_plans_of_other_servers_stand_below_the_operator_that_asks_them():
    shard = {"Node Type": "Seq Scan", "Relation Name": "orders_102008", "Alias": "o", "Total Cost": 20.0}
    worker = {"Node Type": "Sort", "Plans": [{**shard, "Parent Relationship": "Outer"}]}
    asked = {"Node": "host=w1", "Remote Plan": [[{"Plan": worker, "Execution Time": 1.0}]]}
    first = {"Node Type": "Result"}
    query = {"Subplans": [{"PlannedStmt": [{"Plan": first}]}], "Job": {"Task Count": 8, "Tasks": [asked]}}
    plan = parse_pg_plan([{"Plan": {"Node Type": "Custom Scan", "Distributed Query": query, "Plans": [SCAN]}}])
    operators = list(plan.operators())
    assert [(one.name, one.role) for one in operators] == [
        ("Custom Scan", ""),
        ("Result", "PlannedStmt"),
        ("Sort", "Remote Plan"),
        ("Seq Scan", "Outer"),
        ("Index Scan", "Outer"),
    ]
    assert (operators[3].relation, operators[3].alias) == ("orders", "o")
    assert plan.counts["operators"] == 5


def test_a_node_below_an_attribute_nobody_knows_is_not_lost():
    loop = {"Node Type": "Nested Loop", "Aside": [{"Node Type": "Seq Scan", "Relation Name": "t_100001"}]}
    operators = list(parse_pg_plan([{"Plan": loop}]).operators())
    assert [(one.name, one.relation, one.role) for one in operators[1:]] == [("Seq Scan", "t_100001", "Aside")]
