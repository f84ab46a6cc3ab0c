import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, Engine, Label, StatementText
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.core.remedies.remediation import SuggestionKind, suggest, suggestion_id, ways_back
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
DDL = "CREATE INDEX orders_cust ON public.orders USING btree (customer_id) WHERE (status = 'open'::text)"

INCIDENT = replace(
    PLAN_REGRESSION,
    database='sh"op',
    query_hash=7,
    metric="elapsed_time_us",
    plan_hash=2,
    previous_plan_hash=1,
)
SAME_PLAN = replace(INCIDENT, previous_plan_hash=0)


def plan(node, **context):
    return CapturedPlan(7, 1, "pgjson", json.dumps([{"Plan": node}]), "generic", context=context)


INDEXED = {"Node Type": "Index Scan", "Relation Name": "orders", "Index Name": "orders_cust", "Index Cond": "(a = $1)"}
SCANNED = {"Node Type": "Seq Scan", "Relation Name": "orders"}


def suggested(old=None, new=None, *, incident=INCIDENT, dialect=Engine.POSTGRES, facts=(), statement=None, now=NOW):
    return suggest(incident, old=old, new=new, statement=statement, dialect=dialect, now=now, facts=facts)


def fact(name, before, after):
    return FactChange(DatabaseRef("prod", "shop"), name, NOW, before, after)


def test_a_lost_index_is_recreated_exactly_without_blocking_and_can_be_dropped_again():
    (found,) = suggested(plan(INDEXED, indexes={"orders_cust": DDL}), plan(SCANNED, indexes={}))
    assert found.kind == SuggestionKind.RECREATE_INDEX
    assert found.script == (
        "CREATE INDEX CONCURRENTLY orders_cust ON public.orders USING btree (customer_id) "
        "WHERE (status = 'open'::text);"
    )
    assert found.undo_script == "DROP INDEX CONCURRENTLY IF EXISTS public.orders_cust;"
    assert (found.risk, found.incident_id, found.created_at) == ("medium", "0123456789ab", NOW)
    assert "orders_cust" in found.rationale


def test_an_index_that_all_partitions_lost_is_one_way_back():
    indexes = {f"o_{n}_day_idx": f"CREATE INDEX o_{n}_day_idx ON public.o_{n} USING btree (day)" for n in (1, 2, 3)}
    scans = [
        {"Node Type": "Index Scan", "Relation Name": f"o_{n}", "Alias": f"x_{n}", "Index Name": f"o_{n}_day_idx"}
        for n in (1, 2)
    ]
    bits = {"Node Type": "Bitmap Index Scan", "Index Name": "o_3_day_idx"}
    heap = {"Node Type": "Bitmap Heap Scan", "Relation Name": "o_3", "Alias": "x_3", "Plans": [bits]}
    (found,) = suggested(
        plan({"Node Type": "Append", "Plans": [*scans, heap]}, indexes=indexes), plan(SCANNED, indexes={})
    )

    assert found.kind == SuggestionKind.RECREATE_INDEX
    assert "3 partitions" in found.rationale
    assert found.script.splitlines() == [
        f"CREATE INDEX CONCURRENTLY o_{n}_day_idx ON public.o_{n} USING btree (day);" for n in (1, 2, 3)
    ]
    assert found.undo_script.count("DROP INDEX") == 3


def test_a_mere_review_gives_way_once_something_better_is_known():
    index = plan(INDEXED, indexes={"orders_cust": DDL})
    review, better = suggested(), suggested(index, plan(SCANNED, indexes={}))
    assert [one.kind for one in (*review, *better)] == [SuggestionKind.REVIEW_PLANS, SuggestionKind.RECREATE_INDEX]

    assert ways_back([*review, *better], review) == list(better)
    assert ways_back(review, better) == list(better)
    assert ways_back(review, review) == list(review)
    assert ways_back(better, review) == list(better)
    assert ways_back([], review) == list(review)


def test_an_index_that_is_still_there_is_not_recreated():
    context = {"indexes": {"orders_cust": DDL}}
    (found,) = suggested(plan(INDEXED, **context), plan(SCANNED, **context))
    assert found.kind == SuggestionKind.REVIEW_PLANS


def test_a_lost_index_that_the_former_plan_did_not_use_is_not_recreated():
    (found,) = suggested(plan(SCANNED, indexes={"orders_cust": DDL}), plan(SCANNED, indexes={}))
    assert found.kind == SuggestionKind.REVIEW_PLANS


def test_nothing_is_recreated_when_the_indexes_of_today_are_not_known():
    (found,) = suggested(plan(INDEXED, indexes={"orders_cust": DDL}), plan(SCANNED))
    assert found.kind == SuggestionKind.REVIEW_PLANS


def test_a_definition_that_is_no_single_statement_gets_no_script():
    (found,) = suggested(plan(INDEXED, indexes={"orders_cust": f"{DDL}; DROP TABLE orders"}), plan(SCANNED, indexes={}))
    assert found.kind == SuggestionKind.REVIEW_PLANS


def test_an_index_of_a_plan_in_another_form_is_found_by_its_name():
    old = CapturedPlan(
        7,
        1,
        "showplan",
        '<IndexScan><Object Index="[ix]"/></IndexScan>',
        context={"indexes": {"ix": "CREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([A]) INCLUDE ([B])"}},
    )
    new = CapturedPlan(7, 2, "showplan", "<x/>", context={"indexes": {}})
    (found,) = suggested(old, new, incident=SAME_PLAN, dialect=Engine.SQLSERVER)
    assert found.script == 'USE [sh"op];\nCREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([A]) INCLUDE ([B]);'
    assert found.undo_script == 'USE [sh"op];\nDROP INDEX [ix] ON [dbo].[Orders];'
    assert found.risk == "high"


def test_a_lowered_setting_is_put_back_for_the_database():
    (found,) = suggested(plan(SCANNED, settings={"work_mem": "4MB"}), plan(SCANNED, settings={"work_mem": "64kB"}))
    assert found.kind == SuggestionKind.RESTORE_SETTING
    assert found.script == 'ALTER DATABASE "sh""op" SET work_mem = \'4MB\';'
    assert found.undo_script == 'ALTER DATABASE "sh""op" SET work_mem = \'64kB\';'


def test_a_fact_is_enough_where_the_plan_stayed_the_same():
    same = plan(SCANNED, settings={"work_mem": "4MB"})
    facts = (fact("setting work_mem", "4MB", "1MB"), fact("setting work_mem", "1MB", "64kB"), fact("other", "a", "b"))
    (found,) = suggested(same, same, facts=facts)
    assert "work_mem changed from 4MB to 64kB" in found.rationale


def test_a_setting_that_went_there_and_back_is_no_cause():
    facts = (fact("setting work_mem", "4MB", "1MB"), fact("setting work_mem", "1MB", "4MB"))
    (found,) = suggested(facts=facts)
    assert found.kind == SuggestionKind.REVIEW_PLANS


@pytest.mark.parametrize(
    ("name", "before", "after", "is_suggested"),
    [
        ("work_mem", "4MB", "64kB", True),
        ("work_mem", "64kB", "4MB", False),
        ("work_mem", "1024kB", "1GB", False),
        ("work_mem", "4MB", "odd", True),
        ("enable_hashjoin", "on", "off", True),
        ("enable_hashjoin", "off", "on", False),
        ("random_page_cost", "1.1", "4", True),
        ("random_page_cost", "4", "1.1", True),
        ("jit", "off", "on", True),
        ("a;b", "1", "2", False),
    ],
)
def test_only_settings_that_may_hurt_are_put_back(name, before, after, is_suggested):
    (found,) = suggested(facts=(fact(f"setting {name}", before, after),))
    assert (found.kind == SuggestionKind.RESTORE_SETTING) == is_suggested


def test_a_setting_that_had_its_default_is_reset():
    (found,) = suggested(plan(SCANNED, settings={}), plan(SCANNED, settings={"enable_seqscan": "off"}))
    assert found.script == 'ALTER DATABASE "sh""op" RESET enable_seqscan;'
    assert found.undo_script == 'ALTER DATABASE "sh""op" SET enable_seqscan = \'off\';'


def test_settings_of_other_engines_are_left_to_a_person():
    (found,) = suggested(incident=SAME_PLAN, dialect=Engine.SQLSERVER, facts=(fact("setting work_mem", "4MB", "64kB"),))
    assert found.kind == SuggestionKind.REVIEW_PLANS


STALE = {"tables": {'public.Or"ders': {"rows": 1000, "n_mod_since_analyze": 400_000, "last_analyze": None}}}


@pytest.mark.parametrize(
    ("dialect", "script"),
    [
        (Engine.POSTGRES, 'ANALYZE "public"."Or""ders";'),
        (Engine.SQLSERVER, 'UPDATE STATISTICS [public].[Or"ders];'),
    ],
)
def test_stale_statistics_are_refreshed_at_low_risk(dialect, script):
    (found,) = suggested(plan(SCANNED), plan(SCANNED, **STALE), incident=SAME_PLAN, dialect=dialect)
    assert (found.kind, found.risk, found.script, found.undo_script) == ("refresh_statistics", "low", script, "")
    assert "400,000 rows" in found.rationale


def test_the_surest_way_comes_first_when_several_are_known():
    old = plan(INDEXED, indexes={"orders_cust": DDL}, settings={"work_mem": "4MB"})
    new = plan(SCANNED, indexes={}, settings={"work_mem": "64kB"}, **STALE)
    kinds = [found.kind for found in suggested(old, new)]
    assert kinds == ["recreate_index", "restore_setting", "refresh_statistics"]


def test_without_a_known_cause_the_plan_difference_is_told():
    (found,) = suggested(plan(INDEXED), plan(SCANNED), statement=StatementText(7, "select 1", "SELECT"))
    assert (found.kind, found.script, found.undo_script) == ("review_plans", "", "")
    assert "SELECT 0000000000000007" in found.rationale
    assert "orders: Index Scan using orders_cust became Seq Scan" in found.rationale


def test_without_plans_it_is_said_that_they_are_missing():
    (found,) = suggested()
    assert "no second plan" in found.rationale


@pytest.mark.parametrize("label", list(Label))
def test_every_label_gets_advice(label):
    (found,) = suggested(incident=replace(INCIDENT, label=label))
    assert len(found.rationale) > 60


def test_an_instance_incident_points_at_the_instance():
    incident = replace(INCIDENT, scope=IncidentScope.INSTANCE, database="", query_hash=0)
    (found,) = suggested(incident=incident, facts=(fact("setting work_mem", "4MB", "64kB"),))
    assert "Look at the instance" in found.rationale


def test_a_database_incident_points_at_the_database():
    (found,) = suggested(incident=replace(INCIDENT, scope=IncidentScope.DATABASE, query_hash=0))
    assert "this database slowed down together" in found.rationale


def test_the_id_is_the_same_whenever_the_same_is_suggested():
    plans = (plan(INDEXED, indexes={"orders_cust": DDL}), plan(SCANNED, indexes={}))
    (first,), (again,) = suggested(*plans), suggested(*plans, now=datetime(2027, 1, 1, tzinfo=UTC))
    (other,) = suggested(*plans, incident=replace(INCIDENT, incident_id="ffffffffffff"))
    assert first.suggestion_id == again.suggestion_id != other.suggestion_id
    assert first.suggestion_id == suggestion_id("0123456789ab", "recreate_index", first.script)
    assert len(first.suggestion_id) == 16
