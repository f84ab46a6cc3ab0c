import pytest

from dbplanmon_pipeline.core.context_facts import concerns, context_facts

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
