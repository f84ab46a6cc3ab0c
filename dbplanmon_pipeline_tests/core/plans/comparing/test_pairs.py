"""What the first words say about pairs of real plans, and about real plans from which one cause was taken away."""

import re

import pytest

from dbplanmon_pipeline.core.plans.comparing.diff import NO_DIFFERENCE, diff_plans
from dbplanmon_pipeline.core.plans.comparing.summary import CAUSES
from dbplanmon_pipeline.core.plans.findings.registry import RULES, compared_findings
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.showplan.redact import redact_showplan
from dbplanmon_pipeline_tests.core.plans.showplans import FOLDER, MISSING, text_named

needs_plans = pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)

FAST, FAST_AGAIN = "399ce175_results_03-parameter-sniffing-fast", "a8a629aa_results_03-parameter-sniffing-fast"
SLOW, SLOW_AGAIN = "13297ced_results_03-parameter-sniffing-slow", "8feae38b_results_03-parameter-sniffing-slow"
SNIFFED = "The plan was compiled for another value of @CustomerId than it ran with"

PAIRS = [
    pytest.param(FAST, SLOW, SNIFFED, id="parameter sniffing"),
    pytest.param(FAST_AGAIN, SLOW_AGAIN, SNIFFED, id="parameter sniffing, second recording"),
    pytest.param(FAST, SLOW_AGAIN, SNIFFED, id="parameter sniffing, across the recordings"),
    pytest.param(FAST_AGAIN, SLOW, SNIFFED, id="parameter sniffing, across them the other way"),
    pytest.param(
        SLOW, FAST, "Compiled for any value of @CustomerId, before for one value", id="parameter sniffing, cured"
    ),
    pytest.param(SLOW, SLOW_AGAIN, NO_DIFFERENCE, id="the same sniffed plan twice"),
    pytest.param(
        FAST, FAST_AGAIN, "statistics IX_Orders_CustomerId of dbo.Orders were updated", id="the same good plan twice"
    ),
    pytest.param(
        "2cb1f641_results_05-key-lookup-tipping-slow",
        "4299ec08_results_05-key-lookup-tipping-slow",
        "In both plans Key Lookup on dbo.Orders fetches missing columns row by row, 525,600 times",
        id="key lookup beyond its tipping point, in both",
    ),
    pytest.param(
        "01_VoteTypeId2",
        "param-sniffing-posttypeid2",
        "dbo.Posts p: Index Seek now uses beavis instead of OwnerUserId_PostTypeId",
        id="other indexes, the one of the slowest table first",
    ),
    pytest.param("plan79", "plan80", "join of deleted and inserted: Nested Loops became Hash Match", id="trigger"),
    pytest.param(
        "plan98",
        "plan43",
        "dbo.Status tb_MachineSetStatus: Clustered Index Seek using Status_PK became Index Scan",
        id="a seek that became a scan",
    ),
    pytest.param("plan188", "plan133", NO_DIFFERENCE, id="the same batch, other names of table variables"),
    pytest.param(
        "users-with-post-count-and-comment-count.",
        "users-with-post-count-and-comment-count-math",
        "statement 1: dbo.Votes: Predicate Votes.UserId=(?) became Votes.UserId<(?)",
        id="two statements in the other order",
    ),
]


def test_every_finding_that_may_be_a_cause_is_one():
    assert set(CAUSES) <= {rule.slug for rule in RULES}


def first_words(old, new):
    before, after = parse_showplan(old), parse_showplan(new)
    fresh, stayed = compared_findings(before, after)
    return diff_plans(before, after, fresh=fresh, stayed=stayed).summary


@needs_plans
@pytest.mark.parametrize(("old", "new", "expected"), PAIRS)
def test_the_first_words_about_a_real_pair_name_its_cause(old, new, expected):
    assert first_words(text_named(old), text_named(new)).startswith(expected)


SPILL = r"<Warnings>\s*<SpillToTempDb.*?</Warnings>"
SEEK_CONVERSION = r"<Warnings>\s*<PlanAffectingConvert.*?</Warnings>"

PLANTED = [
    ("d3951a1d", SPILL, "", "new: spill to tempdb: level 1"),
    ("2d461657", SPILL, "", "new: spill to tempdb: level 2"),
    ("2d461657", r"<Warnings>\s*<ColumnsWithNoStatistics.*?</Warnings>", "", "statistics"),
    ("ab4c223c", SEEK_CONVERSION, "", "CONVERT_IMPLICIT(nvarchar(?),Users.DisplayName,?)=@d converts a column"),
    (
        "94d7b93d",
        SEEK_CONVERSION,
        "",
        "new: implicit conversion that blurs an estimate: CONVERT(varchar(?),Users.Id,?)",
    ),
    ("9a703100", r"</?UserDefinedFunction.*?>", "", "TotalScore"),
    ("882e772a", r'Table="\[?@t\]?"', 'Table="[#t]"', "table variable @t took the place of temporary table #t"),
    ("6a6fc3a3", r'EstimateRowsWithoutRowGoal="2500000"', "", "expected to stop after"),
    ("3bdad450", r"<Warnings NoJoin[^>]*>", "", "join without a condition"),
    ("408c0b5a", '"Batch"', '"Row"', "execution: batch mode is new"),
    ("45dd1333", r"<UnmatchedIndexes>.*?</UnmatchedIndexes>|<Warnings Unm[^>]*>", "", "filtered index"),
    ("b8ed8215", r'ModelVersion="70"', 'ModelVersion="130"', "cardinality estimator: version 130 became 70"),
    ("b8ed8215", r"OPTION\s*\([^)]*\)", "", "now bound by the hint QUERYTRACEON"),
    ("c2124d", r'CompiledValue="\(4\)"', 'CompiledValue="(2)"', "compiled for another value of @VoteTypeId"),
    ("2cb1f641", r'ForceSeek="1"', 'ForceSeek="0"', "dbo.Orders: now bound by the hint FORCESEEK"),
    ("fca88f56", r' Lookup="true"', "", "Key Lookup"),
    ("3b7325ff", r'"Row Count Spool"', '"Top"', "Row Count Spool"),
    ("b8ed8215", r'Level="FULL"', 'Level="TRIVIAL"', "optimizer: level TRIVIAL became FULL"),
    ("2d461657", r'StatementOptmLevel="FULL"', 'StatementOptmEarlyAbortReason="TimeOut"', "no longer stops early"),
]


@needs_plans
@pytest.mark.parametrize(
    ("name", "cause", "without", "expected"), PLANTED, ids=[f"{one[0]}-{one[3][:40]}" for one in PLANTED]
)
def test_a_cause_that_only_the_new_plan_has_leads(name, cause, without, expected):
    new = text_named(name)
    old, times = re.subn(cause, without, new, flags=re.DOTALL)
    assert times
    assert expected in first_words(old, new).split("; ")[0]


@needs_plans
def test_the_sniffed_parameter_shows_in_plans_whose_values_are_masked():
    told = first_words(*(redact_showplan(text_named(name)) for name in (FAST, SLOW)))
    assert told.startswith("Compiled for one value of @CustomerId, before for any value; dbo.Orders: Index Seek using")


@needs_plans
def test_another_sniffed_value_shows_by_its_estimate_where_values_are_masked():
    new = redact_showplan(text_named(SLOW))
    old = new.replace('EstimateRows="666693"', 'EstimateRows="40"')
    assert first_words(old, new).startswith(
        "dbo.Orders: @CustomerId was expected to select 40 rows and now 666,693, of a table that is no larger"
    )
