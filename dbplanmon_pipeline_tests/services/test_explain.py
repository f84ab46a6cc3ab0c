from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from dbplanmon_pipeline.core.causes.deployments import new_deployment
from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, Engine, Label, StatementText
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.services.explain import explain_incident
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION
from dbplanmon_pipeline_tests.core.plans.showplans import relop, showplan, statement, table

REF = DatabaseRef("prod", "Shop")
QUERY = "00000000000000ab"


def body(physical, index):
    return showplan(statement(relop(physical, table("Orders", index))))


class Store:
    """Holds what a test gives it."""

    def __init__(self, *, present=None, changes=(), rows=(), deployed=(), texts=()):
        self.present, self.changes, self.rows, self.deployed = present or {}, changes, rows, deployed
        self.texts = texts
        self.asked = []
        self.plans = {
            0xCD: CapturedPlan(0xAB, 0xCD, "showplan", body("Index Seek", "IX_Cust")),
            -1: CapturedPlan(0xAB, -1, "showplan", body("Clustered Index Scan", "PK_Orders")),
        }

    def plan(self, plan_hash):
        return self.plans.get(plan_hash)

    def statement_texts(self, keys):
        return {(REF, text.query_hash): text for text in self.texts if (REF, text.query_hash) in keys}

    def fact_changes(self, ref, start, end):
        return [change for change in self.changes if change.ref == ref]

    def fact_changes_on(self, instance, start, end):
        return list(self.changes)

    def deployments(self, start, end):
        return list(self.deployed)

    def facts(self, ref, at=None):
        return self.present

    def known_databases(self):
        return []

    def interval_frame(self, start, end, **wanted):
        self.asked.append((start, end, wanted))
        columns = ["plan_hash", "execution_count", "rows"]
        return IntervalFrame(pd.DataFrame(list(self.rows), columns=columns), {1: REF})


def explained(store, dialect=Engine.SQLSERVER, incident=PLAN_REGRESSION):
    return explain_incident(store, incident, dialect)


def test_a_showplan_incident_tells_the_difference_and_the_way_back():
    found = explained(Store())
    assert found.plan_lines[0] == ("dbo.Orders: Index Seek using IX_Cust became Clustered Index Scan using PK_Orders")
    assert [one.kind for one in found.suggestions] == ["force_plan"]


@pytest.mark.parametrize(("plan_hash", "which"), [(0xCD, "earlier"), (-1, "present")])
def test_a_plan_that_was_not_kept_is_told_with_its_reason(plan_hash, which):
    store = Store()
    store.plans[plan_hash] = CapturedPlan(0xAB, plan_hash, reason="no plan: it takes 40 MB, more than 32 MB")
    found = explained(store)
    assert found.plan_summary == f"The {which} plan was not kept: it takes 40 MB, more than 32 MB."
    assert (found.old_plan is None, found.new_plan is None) == (which == "earlier", which == "present")
    assert [one.kind for one in found.suggestions] == ["force_plan"]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("no plan: permission denied to plan INSERT", "cannot be told: permission denied to plan INSERT."),
        ("", "cannot be told."),
    ],
)
def test_without_a_plan_nobody_says_that_it_stayed_the_same(reason, said):
    store = Store(texts=[StatementText(PLAN_REGRESSION.query_hash, "INSERT INTO t VALUES (?)", plan_reason=reason)])
    found = explained(store, incident=replace(PLAN_REGRESSION, plan_hash=0, previous_plan_hash=0))

    assert found.plan_summary == f"No plan of this statement is known, so whether it changed {said}"


def test_the_advice_of_the_engine_stands_beside_our_verdict():
    found = explained(Store(present={f"engine advice {QUERY}": "score 87: force plan x instead of y, Active"}))
    assert found.engine_advice == "score 87: force plan x instead of y, Active"
    assert explained(Store(present={"engine advice 0000000000000001": "other"})).engine_advice == ""


def test_present_facts_decide_about_forcing():
    found = explained(Store(present={"automatic tuning FORCE_LAST_GOOD_PLAN": "ON"}))
    assert "left to the engine" in found.suggestions[0].rationale


def test_only_causes_of_this_statement_are_told_in_plain_words():
    names = ("server started", f"query hint {QUERY}", "query hint 0000000000000001", f"engine advice {QUERY}")
    changes = [FactChange(REF, name, NOW, "", "2026-03-01T11:42:00Z") for name in names]
    assert [line.partition(", seen")[0] for line in explained(Store(changes=changes)).context_lines] == [
        "the server restarted at 2026-03-01 11:42:00 UTC",
        "query hint: 2026-03-01T11:42:00Z is new",
    ]


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([(0xCD, 100.0, 200.0), (-1, 10.0, 9000.0)], "review_plans"),
        ([(0xCD, 100.0, 20_000.0), (-1, 10.0, 2000.0)], "force_plan"),
        ([(0xCD, 100.0, float("nan")), (-1, 10.0, 9000.0)], "force_plan"),
        ([(0xCD, 0.0, 0.0), (-1, 10.0, 9000.0)], "force_plan"),
        ([(7, 100.0, 200.0)], "force_plan"),
    ],
)
def test_rows_per_execution_under_both_plans_decide_about_forcing(rows, kind):
    assert explained(Store(rows=rows)).suggestions[0].kind == kind


def test_the_rows_of_one_day_before_and_of_this_statement_are_asked_for():
    store = Store()
    explained(store)
    ((start, end, wanted),) = store.asked
    assert (start, end) == (NOW - timedelta(hours=24), NOW)
    assert (wanted["databases"], wanted["query_hash"]) == ([REF], 0xAB)


@pytest.mark.parametrize(
    ("dialect", "incident"),
    [
        (Engine.POSTGRES, PLAN_REGRESSION),
        (Engine.SQLSERVER, replace(PLAN_REGRESSION, previous_plan_hash=0)),
        (Engine.SQLSERVER, replace(PLAN_REGRESSION, previous_plan_hash=-1)),
    ],
)
def test_without_a_plan_to_force_no_rows_are_read(dialect, incident):
    store = Store()
    explained(store, dialect, incident)
    assert store.asked == []


IX = "CREATE NONCLUSTERED INDEX [IX_Cust] ON [dbo].[Orders] ([CustomerId])"
IX_NAME = "IX_Cust on dbo.Orders"
GONE, DISABLED = f"index {IX_NAME} is gone", f"index {IX_NAME} was disabled"
GREW = "table dbo.Orders grew from 100 to 900 rows (x9)"


def context(database="prod/Shop", rows=100, read_at=NOW, **indexes):
    named = {f"{name} on dbo.Orders": text for name, text in indexes.items()}
    tables = {"dbo.Orders": {"rows": rows}}
    return {"database": database, "read_at": read_at.isoformat(), "indexes": named, "tables": tables}


def around(old, new, **options):
    """Lines and causes of an incident whose plans were read in these contexts."""
    store = Store()
    store.plans = {
        0xCD: replace(store.plans[0xCD], context=old),
        -1: replace(store.plans[-1], context=new),
    }
    found = explained(store, **options)
    return list(found.context_lines), list(found.causes)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (context(IX_Cust=IX), context(rows=900), [f"{GONE}: {IX}", GREW]),
        (context("prod/Other", IX_Cust=IX), context(rows=900), [GONE]),
        (context("prod/Other", IX_Cust=IX), context(IX_Cust=f"-- disabled: {IX}"), [DISABLED]),
        ({"engine": "sqlserver"}, context(), [GONE]),
    ],
    ids=["same database", "former plan of another tenant", "disabled", "former plan without a context"],
)
def test_an_index_that_the_database_lost_is_told_once(old, new, lines):
    assert around(old, new) == (lines, [f"index {IX_NAME}"])


@pytest.mark.parametrize(
    "read",
    [{"database": "prod/Other"}, {"read_at": NOW - timedelta(days=2)}],
    ids=["another tenant", "long before"],
)
def test_tables_of_another_database_or_of_long_ago_explain_nothing(read):
    assert around(context(**read, IX_Cust=IX), context(**read, rows=900)) == ([], [])


def test_settings_of_plans_are_compared_wherever_they_were_read():
    old, new = ({**context("prod/Other"), "settings": {"MAXDOP": value}} for value in ("8", "1"))
    assert around(old, new) == (["setting MAXDOP: 8 became 1"], ["setting MAXDOP"])


def test_a_setting_that_changed_is_told_once_with_its_moment():
    old, new = ({**context(), "settings": {"MAXDOP": value, "COST": value}} for value in ("8", "1"))
    store = Store(changes=[FactChange(REF, "setting MAXDOP", NOW, "8", "1")])
    store.plans = {0xCD: replace(store.plans[0xCD], context=old), -1: replace(store.plans[-1], context=new)}
    seen, other = [line for line in explained(store).context_lines if line.startswith("setting ")]
    assert seen.startswith("setting MAXDOP: 8 became 1, seen 2026-")
    assert other == "setting COST: 8 became 1"


def test_causes_are_ranked_and_the_telling_one_is_a_line():
    lists = ('{"IX_Cust":"CREATE INDEX IX_Cust"}', "{}")
    changes = [
        FactChange(REF, "indexes of dbo.Orders", NOW, *lists),
        FactChange(REF, "indexes of dbo.Unread", NOW, *lists),
        FactChange(REF, "setting MAXDOP", NOW, "8", "1"),
    ]
    found = explained(Store(changes=changes))
    assert [(one.candidate.about, one.word) for one in found.ranked] == [
        ("IX_Cust", "likely"),
        ("MAXDOP", "plausible"),
        ("ffffffffffffffff", "plausible"),
    ]
    assert found.likely_cause.startswith("likely: index IX_Cust of dbo.Orders is gone (as the first bad interval")
    assert explained(Store()).likely_cause == ""


def test_facts_of_tables_stand_among_the_causes_only():
    changes = [FactChange(REF, "rows of dbo.Orders", NOW, "1000", "9000")]
    found = explained(Store(changes=changes))
    assert (found.context_lines, found.causes) == ((), ())
    assert [one.candidate.kind for one in found.ranked] == ["volume", "plan"]


def test_an_incident_of_a_database_names_what_happened_there():
    whole = replace(PLAN_REGRESSION, scope=IncidentScope.DATABASE, query_hash=0, label=Label.DATABASE_SLOWDOWN)
    own = FactChange(REF, "compatibility level", NOW, "150", "160")
    other = replace(own, ref=DatabaseRef(REF.instance, "elsewhere"), after="140")
    found = explained(Store(changes=[own, other]), incident=whole)
    assert found.plan_summary == "Most statements of this database slowed down together."
    (cause,) = found.ranked
    assert "it concerns this database" in cause.evidence
    assert "140" not in found.likely_cause


def test_an_incident_of_an_instance_names_what_happened_to_all_of_it():
    whole = replace(
        PLAN_REGRESSION, scope=IncidentScope.INSTANCE, database="", query_hash=0, label=Label.INSTANCE_SLOWDOWN
    )
    databases = [DatabaseRef("prod", name) for name in ("a", "b")]
    changes = [
        FactChange(ref, "server started", NOW, "2026-01-01T00:00:00Z", "2026-03-01T12:00:00Z") for ref in databases
    ]
    changes.append(FactChange(databases[0], f"query hint {QUERY}", NOW, "", "OPTION (RECOMPILE)"))
    deployed = [new_deployment("os patches", instance="prod", deployed_at=NOW - timedelta(hours=3), now=NOW, actor="x")]
    found = explained(Store(changes=changes, deployed=deployed), incident=whole)
    assert [one.candidate.kind for one in found.ranked] == ["restart", "deployment"]
    assert "it concerns the whole instance" in found.ranked[0].evidence
    assert found.likely_cause.startswith("likely: the server restarted at 2026-03-01 12:00:00 UTC")
