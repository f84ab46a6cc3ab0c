from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dbplanmon_pipeline.core.cron import Cron
from dbplanmon_pipeline.core.health import Health
from dbplanmon_pipeline.core.kpis.alerts import kpi_alert
from dbplanmon_pipeline.core.kpis.health import kpis_within_limits
from dbplanmon_pipeline.core.kpis.rules import (
    KpiLimits,
    KpiMemory,
    KpiPolicy,
    KpiResult,
    KpiSpec,
    KpiState,
    advance,
    figure_of,
    is_due,
    judge,
    number_words,
    same_hours,
)
from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.model import DatabaseRef, Severity

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECRET = "hunter2"
SPEC = KpiSpec(
    "open_orders",
    DatabaseRef("alpha", "shop"),
    KpiStatement(f"SELECT count(*) FROM orders WHERE customer = '{SECRET}'"),
    KpiLimits(maximum=1000),
    severity=Severity.HIGH,
)
USUAL = KpiPolicy()
OK, BREACH, UNKNOWN, ERROR = KpiState.OK, KpiState.BREACH, KpiState.UNKNOWN, KpiState.ERROR


def result(state=OK, at=NOON, value=5.0, message=""):
    return KpiResult("open_orders", at, 12.0, state, value, None, message)


class TestDue:
    def test_a_kpi_that_never_ran_is_due_at_once(self):
        assert is_due(SPEC, KpiMemory("k"), NOON + 17 * MINUTE)

    @pytest.mark.parametrize(("minutes", "due"), [(0, False), (4.9, False), (5, True), (500, True)])
    def test_an_interval_is_aligned_and_runs_once_in_each(self, minutes, due):
        memory = KpiMemory("k", started_at=NOON + timedelta(seconds=3))
        assert is_due(SPEC, memory, NOON + minutes * MINUTE + timedelta(seconds=5)) is due

    def test_it_is_never_due_while_a_reading_is_under_way(self):
        memory = KpiMemory("k", started_at=NOON, leased_until=NOON + 20 * MINUTE)
        assert not is_due(SPEC, memory, NOON + 19 * MINUTE)
        assert is_due(SPEC, memory, NOON + 20 * MINUTE)

    def test_a_missed_cron_is_made_up_for_once(self):
        daily = replace(SPEC, cron=Cron.parse("0 6 * * *"))
        memory = KpiMemory("k", started_at=NOON - timedelta(days=3))
        assert is_due(daily, memory, NOON)
        assert not is_due(daily, replace(memory, started_at=NOON), NOON + MINUTE)

    def test_a_cron_that_never_ran_waits_for_its_moment(self):
        daily = replace(SPEC, cron=Cron.parse("0 6 * * *"))
        assert not is_due(daily, KpiMemory("k"), NOON)
        assert is_due(daily, KpiMemory("k"), NOON.replace(hour=6, minute=1))


class TestFigure:
    @pytest.mark.parametrize(
        ("value", "figure"),
        [(3, 3.0), (Decimal("1.5"), 1.5), (True, 1.0), (timedelta(minutes=2), 120.0), (None, None)],
    )
    def test_numbers_and_times_are_figures(self, value, figure):
        assert figure_of(KpiRow(("a",), (value,), 1), "") == figure

    def test_a_column_is_found_by_name_whatever_its_case(self):
        assert figure_of(KpiRow(("a", "Placed"), (1, 2), 1), "placed") == 2

    @pytest.mark.parametrize(
        "row",
        [
            KpiRow(("a",), (), 0),
            KpiRow((), (), 0),
            KpiRow((), (), 1),
            KpiRow(("a",), (SECRET,), 1),
            KpiRow(("a",), (float("nan"),), 1),
            KpiRow(("a",), (Decimal("Infinity"),), 1),
            KpiRow(("a",), (NOON,), 1),
        ],
    )
    def test_anything_else_is_told_without_its_value(self, row):
        with pytest.raises(ValueError, match="number") as failure:
            figure_of(row, "")
        assert SECRET not in str(failure.value)

    def test_a_missing_column_is_told(self):
        with pytest.raises(ValueError, match="no column is named placed"):
            figure_of(KpiRow((SECRET,), (1,), 1), "placed")


class TestJudgement:
    @pytest.mark.parametrize(
        ("limits", "value", "state"),
        [
            (KpiLimits(maximum=10), 10, OK),
            (KpiLimits(maximum=10), 10.01, BREACH),
            (KpiLimits(minimum=10), 10, OK),
            (KpiLimits(minimum=10), 9.99, BREACH),
            (KpiLimits(minimum=1, maximum=3), 2, OK),
            (KpiLimits(minimum=1, maximum=3), 4, BREACH),
            (KpiLimits(expected=0), 0, OK),
            (KpiLimits(expected=0), 1, BREACH),
            (KpiLimits(expected=0.3), 0.1 + 0.2, OK),
            (KpiLimits(expected=1000), 1000.01, BREACH),
            (KpiLimits(maximum=10), None, UNKNOWN),
        ],
    )
    def test_limits(self, limits, value, state):
        assert judge(value, limits, [])[0] is state

    @pytest.mark.parametrize(("value", "state"), [(150, OK), (50, OK), (151, BREACH), (49, BREACH), (0, BREACH)])
    def test_distance_from_normal_counts_both_ways(self, value, state):
        assert judge(value, KpiLimits(deviation_percent=50), [100.0] * 8)[::2] == (state, 100.0)

    @pytest.mark.parametrize(("value", "words"), [(151, "51 % above the 100"), (49, "51 % below the 100")])
    def test_a_distance_says_to_which_side(self, value, words):
        assert judge(value, KpiLimits(deviation_percent=50), [100.0] * 8)[1].startswith(words)

    def test_one_bad_week_does_not_move_what_is_normal(self):
        history = [100.0] * 12 + [9_000.0] * 11
        assert judge(200, KpiLimits(deviation_percent=50), history)[0] is BREACH

    def test_too_few_samples_leave_it_unknown_and_say_so(self):
        state, message, _ = judge(5, KpiLimits(deviation_percent=50), [1.0] * 7)
        assert (state, "7 of 8 values" in message) == (UNKNOWN, True)

    def test_a_limit_beside_it_judges_from_the_start(self):
        limits = KpiLimits(maximum=10, deviation_percent=50)
        assert judge(5, limits, [])[0] is OK
        assert judge(11, limits, [])[0] is BREACH

    def test_a_percentage_of_nothing_means_nothing(self):
        limits = KpiLimits(deviation_percent=50)
        assert judge(0, limits, [0.0] * 9)[:2] == (OK, "")
        state, why, _ = judge(3, limits, [0.0] * 9)
        assert (state, why.partition(";")[0]) == (UNKNOWN, "0 is normal at this hour of the week")

    def test_a_normal_below_nothing_is_as_good_as_any(self):
        assert judge(-100, KpiLimits(deviation_percent=50), [-50.0] * 9)[0] is BREACH

    def test_the_hours_compared_are_the_same_of_the_weeks_before(self):
        spans = same_hours(NOON + 30 * MINUTE, weeks=2)
        assert spans[0] == (NOON - timedelta(days=7), NOON - timedelta(days=7) + timedelta(hours=1))
        assert [start for start, _ in spans[1:]] == [NOON - timedelta(days=14)]


@pytest.mark.parametrize(
    ("value", "words"),
    [(1240.0, "1,240"), (0.35, "0.35"), (-7.0, "-7"), (1234567.8, "1.23457e+06"), (float("inf"), "unknown")],
)
def test_figures_as_people_read_them(value, words):
    assert number_words(value) == words


def told(*states, policy=USUAL, step=5 * MINUTE):
    """Events by the number of the reading that led to them."""
    memory, events = KpiMemory("k"), {}
    for number, state in enumerate(states):
        memory, change = advance(memory, result(state, NOON + number * step), policy)
        if change:
            events[number] = (change.event.value, change.trouble.value)
    return events


class TestLife:
    def test_a_breach_is_told_once_and_ends_after_three_good_readings(self):
        states = (OK, BREACH, BREACH, OK, OK, BREACH, OK, OK, OK, OK)
        assert told(*states) == {1: ("opened", "breach"), 8: ("auto_resolved", "breach")}

    def test_a_value_that_is_unknown_neither_opens_nor_ends(self):
        assert told(UNKNOWN, BREACH, OK, UNKNOWN, OK, UNKNOWN, OK) == {
            1: ("opened", "breach"),
            6: ("auto_resolved", "breach"),
        }

    def test_a_lasting_breach_is_told_once_more(self):
        assert told(*[BREACH] * 30) == {0: ("opened", "breach"), 12: ("escalated", "breach")}

    def test_errors_are_told_when_they_repeat(self):
        assert told(ERROR, ERROR, OK, ERROR, ERROR, ERROR, ERROR, OK, OK, OK) == {
            5: ("opened", "error"),
            9: ("auto_resolved", "error"),
        }

    def test_errors_during_a_breach_neither_end_it_nor_hide_it(self):
        states = (BREACH, ERROR, ERROR, ERROR, ERROR, OK, OK, OK)
        assert told(*states) == {0: ("opened", "breach"), 7: ("auto_resolved", "breach")}

    def test_a_breach_behind_errors_is_told(self):
        assert told(ERROR, ERROR, ERROR, BREACH) == {2: ("opened", "error"), 3: ("opened", "breach")}

    def test_the_next_breach_is_another_one(self):
        assert len(told(BREACH, OK, OK, OK, BREACH)) == 3


def alert_of(state, *, after=timedelta(), policy=USUAL):
    memory, change = advance(KpiMemory("k"), result(state, NOON, 1240.0, "above the maximum of 1,000"), policy)
    last = result(state, NOON + after, 1240.0, "above the maximum of 1,000")
    if after:
        memory, change = advance(memory, last, policy)
    return kpi_alert(SPEC, change, last, [result(at=NOON - MINUTE)], channel="dba")


class TestMessages:
    def test_a_breach_names_the_kpi_its_value_and_its_limit(self):
        alert = alert_of(BREACH)
        assert alert.subject == "[high] alpha/shop: KPI open_orders is 1,240, above the maximum of 1,000"
        assert (alert.incident_id, alert.event, alert.severity) == ("kpi:open_orders", "opened", "high")
        assert "at most 1,000" in alert.body
        assert "Since     2026-03-10 12:00 UTC\n" in alert.body
        assert "2026-03-10 11:59 UTC: 5" in alert.body
        assert (alert.facts["value"], alert.facts["instance"], alert.facts["scope"]) == (1240.0, "alpha", "kpi")

    def test_a_lasting_breach_is_one_severity_higher(self):
        alert = alert_of(BREACH, after=timedelta(hours=1))
        assert (alert.event, alert.severity) == ("escalated", "critical")
        assert "Escalated: KPI open_orders is 1,240, out of its limits for 1 h" in alert.subject

    def test_a_kpi_that_cannot_be_read_is_never_worse_than_medium(self):
        assert alert_of(ERROR, policy=KpiPolicy(tolerated_errors=0)).severity == "medium"

    def test_no_message_holds_a_word_of_the_statement(self):
        alert = alert_of(BREACH)
        text = f"{alert.subject}{alert.body}{alert.facts}"
        assert SECRET not in text
        assert "SELECT" not in text

    def test_the_same_step_has_the_same_id_and_every_channel_its_own(self):
        _, change = advance(KpiMemory("k"), result(BREACH), USUAL)
        ids = [kpi_alert(SPEC, change, result(BREACH), [], channel=name).alert_id for name in ("a", "a", "b")]
        assert ids[0] == ids[1] != ids[2]

    def test_the_number_of_the_longest_name_fits_its_column(self):
        long = replace(SPEC, name="k" * 60)
        _, change = advance(KpiMemory("k"), result(BREACH), KpiPolicy())
        assert len(kpi_alert(long, change, result(BREACH), [], channel="a").incident_id) <= 64


class TestHealth:
    def test_a_fleet_without_kpis_is_healthy(self):
        assert kpis_within_limits([]).health is Health.HEALTHY

    @pytest.mark.parametrize(
        ("state", "severity", "health"),
        [
            (OK, Severity.CRITICAL, Health.HEALTHY),
            (UNKNOWN, Severity.CRITICAL, Health.HEALTHY),
            (BREACH, Severity.HIGH, Health.DEGRADED),
            (BREACH, Severity.CRITICAL, Health.UNHEALTHY),
            (ERROR, Severity.CRITICAL, Health.DEGRADED),
        ],
    )
    def test_a_breach_is_amber_and_a_critical_one_red(self, state, severity, health):
        status = [(replace(SPEC, severity=severity), KpiMemory("k"), result(state)), (SPEC, KpiMemory("n"), None)]
        finding = kpis_within_limits(status)
        assert finding.health is health
        assert len(finding.rows) == (health is not Health.HEALTHY)
