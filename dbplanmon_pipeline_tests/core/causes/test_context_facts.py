from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.causes.context_facts import cause_line, concerns, context_facts, engine_advice
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange

TABLES = {
    "public.orders": {"rows": 1000, "n_mod_since_analyze": 5000, "last_analyze": None},
    "public.lines": {"rows": 100_000, "n_mod_since_analyze": 50, "last_analyze": None},
}


def test_settings_and_freshness_of_statistics_become_facts():
    assert context_facts({"settings": {"work_mem": "4MB"}, "tables": TABLES}) == {
        "setting work_mem": "4MB",
        "statistics of public.orders": "stale",
        "statistics of public.lines": "fresh",
    }


@pytest.mark.parametrize("table", [{"rows": 1000}, {"rows": 1000, "n_mod_since_analyze": None}])
def test_statistics_of_unknown_age_are_not_called_fresh(table):
    assert context_facts({"tables": {"dbo.orders": table}}) == {}


def test_a_context_without_parts_has_no_facts():
    assert context_facts({}) == {}


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        ("setting work_mem", True),
        ("statistics of public.orders", True),
        ("statistics of public.flags", False),
    ],
)
def test_statistics_of_tables_that_no_plan_reads_are_of_no_concern(fact, expected):
    assert concerns(fact, [{"tables": TABLES}, {}]) is expected


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        ("forced plan 00000000000000ab 00000000000000cd", True),
        ("forced plan 00000000000000cd 00000000000000ab", False),
        ("query hint 00000000000000ab", True),
        ("psp variants 00000000000000ab", True),
        ("psp variants 00000000000000ac", False),
        ("engine advice 00000000000000ab", False),
        ("compatibility level", True),
        ("server started", True),
        ("replica role", True),
        ("automatic tuning FORCE_LAST_GOOD_PLAN", True),
        ("query store size", False),
        ("query store state", False),
    ],
)
def test_facts_about_a_statement_concern_that_one_only(fact, expected):
    assert concerns(fact, [], 0xAB) is expected


def test_facts_about_statements_concern_no_unknown_statement():
    assert not concerns("query hint ", [], 0)


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        (
            "server started",
            "2026-01-01T00:00:00Z",
            "2026-03-01T10:02:00Z",
            "the server restarted at 2026-03-01 10:02:00 UTC",
        ),
        (
            "crash recovery",
            "none since the start",
            "2026-03-01T10:02:00Z",
            "the server crashed and was back at 2026-03-01 10:02:00 UTC",
        ),
        ("compatibility level", "150", "160", "compatibility level changed from 150 to 160"),
        ("replica role", "secondary", "primary", "replica role changed from secondary to primary"),
        (
            "automatic tuning FORCE_LAST_GOOD_PLAN",
            "OFF",
            "ON",
            "automatic tuning FORCE_LAST_GOOD_PLAN changed from OFF to ON",
        ),
        ("database identity", "a", "b", "the database was replaced by another one, for example by a restore"),
        ("setting work_mem", "4MB", "64kB", "setting work_mem: 4MB became 64kB"),
        ("forced plan ab cd", "", "forced", "plan cd was forced"),
        ("forced plan ab cd", "forced", "", "plan cd is no longer forced"),
        ("forced plan ab cd", "forced", "forced, 3 failures: NO_INDEX", "forcing plan cd fails: 3 failures: NO_INDEX"),
        ("query hint ab", "", "OPTION (MAXDOP ?)", "query hint: OPTION (MAXDOP ?) is new"),
        ("query hint ab", "OPTION (RECOMPILE)", "", "query hint: OPTION (RECOMPILE) is gone"),
        ("psp variants ab", "2", "3", "plans for different parameter values: 2 became 3"),
    ],
)
def test_a_changed_fact_reads_as_a_cause(name, before, after, expected):
    change = FactChange(DatabaseRef("prod", "Shop"), name, datetime(2026, 3, 1, 10, 5, tzinfo=UTC), before, after)
    assert cause_line(change) == f"{expected}, seen 2026-03-01 10:05:00 UTC"


def test_the_advice_of_the_engine_is_found_by_the_statement():
    present = {"engine advice 00000000000000ab": "score 87: force plan x instead of y, Active"}
    assert engine_advice(present, 0xAB) == "score 87: force plan x instead of y, Active"
    assert engine_advice(present, 0xAC) == ""
