"""Twenty situations that have broken a monitor of query plans, each lived through from the server to the store.

Here are those of reading; those of judging are in `test_judged_cases_of_peers.py`. The rules themselves are tested
beside their modules; here the parts meet.
"""

import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.health import Health
from dbplanmon_pipeline.core.model import CollectionStatus, StatementText
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import EXECUTIONS, READS
from dbplanmon_pipeline.core.readings.query_store import ReadingSpan, RuntimeStats, query_store_reading
from dbplanmon_pipeline.core.readings.query_store_health import (
    FORCED_PLAN_FACT,
    IDENTITY_FACT,
    STATE_FACT,
    forced_plan_value,
)
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals
from dbplanmon_pipeline.services.check_health import HealthPolicy, check_health
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.core.readings.query_store_rows import stats_row
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Wrapped, recorded, total
from dbplanmon_pipeline_tests.services.stories import DETECTOR
from dbplanmon_pipeline_tests.services.watched import ONE, Watched, altered, ordered

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def clock():
    return FixedClock(START)


@pytest.fixture
def store(migrated_file, tmp_path, clock):
    shutil.copy(migrated_file, tmp_path / "store.db")
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    yield store
    store.close()


def test_a_an_interval_of_an_hour_polled_every_five_minutes_counts_each_execution_once(store, clock):
    watched = Watched(store, clock, interval_minutes=60)
    watched.read(40)
    watched.assert_recorded_is_what_could_be_known()
    later = watched.rows[watched.rows["interval_start_us"] >= epoch_us(START)]
    lengths = later["interval_end_us"] - later["interval_start_us"]
    assert lengths.max() <= STEP / timedelta(microseconds=1)


def test_b_rows_on_disk_and_in_memory_of_one_interval_are_added(store, clock):
    watched = Watched(store, clock, interval_minutes=60, flush_seconds=420)
    halves = 0
    for _ in range(12):
        watched.read()
        stats = watched.provider.history("sim0001").runtime_stats(clock(), epoch_us(START) - 1)
        pairs = list(zip(stats.plan_id.tolist(), stats.interval_start_us.tolist(), strict=True))
        halves += len(pairs) - len(set(pairs))
    assert halves > 20
    watched.assert_recorded_is_what_could_be_known()


def test_c_an_interval_that_is_read_again_adds_nothing(store, clock):
    watched = Watched(store, clock, ordered("quiet"))
    watched.read()
    before = recorded(store, ONE)
    assert total(before).executions > 100
    assert [watched.read(by=MINUTE).rows for _ in range(20)] == [0] * 20
    assert recorded(store, ONE) == before


def test_d_two_handles_of_one_hash_are_one_statement(store, clock):
    def two_handles(reading):
        half = np.floor(reading.values / 2)
        return replace(
            reading,
            keys=tuple(f"{handle}{key}" for handle in "ab" for key in reading.keys),
            lives=reading.lives * 2,
            values=np.vstack([half, reading.values - half]),
            extrema=np.vstack([reading.extrema] * 2),
            **{name: np.tile(getattr(reading, name), 2) for name in LONGS},
        )

    watched = Watched(store, clock, source="plan_cache", alter=lambda db, reader: altered(db, reader, two_handles))
    watched.read(4)
    watched.assert_recorded_is_what_could_be_known()
    assert not watched.rows.duplicated(["query_hash", "plan_hash", "interval_start_us"]).any()


LONGS = ("query_hash", "plan_hash", "interval_start_us", "interval_end_us", "life_began_us")


def test_e_calls_that_rise_while_reads_fall_are_a_new_life_of_the_whole_row(store, clock):
    shown = []

    def fallen(reading):
        if len(shown) == 2:
            reading.values[0, READS] = 1.0
        shown.append(reading)
        return reading

    watched = Watched(store, clock, source="plan_cache", alter=lambda db, reader: altered(db, reader, fallen))
    assert [watched.read().resets for _ in range(3)] == [0, 0, 1]
    query = int(shown[-1].query_hash[0])
    (row,) = watched.rows[watched.rows["query_hash"] == query].tail(1).to_dict("records")
    assert (row["counter_reset"], row["logical_reads_pages"]) == (True, 1.0)
    assert row["execution_count"] == shown[-1].values[0, EXECUTIONS]
    assert (watched.rows[["elapsed_time_us", "worker_time_us", "logical_reads_pages"]] >= 0).all(axis=None)


@pytest.mark.parametrize("source", ["query_store", "plan_cache"])
def test_f_a_restart_of_the_service_loses_only_what_nobody_kept(store, clock, source):
    restart = ordered("restart", START + 22 * MINUTE, START + 24 * MINUTE)
    watched = Watched(store, clock, restart, source=source)
    watched.read(10)
    watched.assert_recorded_is_what_could_be_known()
    lost = total(watched.provider.truth("sim0001", START, clock())).executions - total(recorded(store, ONE)).executions
    assert lost > 0 if source == "plan_cache" else lost < 0


def test_g_a_flush_of_the_plan_cache_begins_new_lives(store, clock):
    watched = Watched(store, clock, ordered("eviction", START + 22 * MINUTE), source="plan_cache")
    resets = [watched.read().resets for _ in range(10)]
    assert resets[5] > 5
    assert sum(resets) == resets[5]
    watched.assert_recorded_is_what_could_be_known()


def test_h_the_first_reading_records_what_it_can_date_and_nothing_else(store, clock):
    cache = Watched(store, clock, source="plan_cache")
    first = cache.read()
    assert (first.status, first.rows, first.message != "") == (CollectionStatus.FIRST_READING, 0, True)


def test_h_the_first_reading_of_a_query_store_records_the_intervals_that_still_change(store, clock):
    watched = Watched(store, clock, interval_minutes=15, flush_seconds=900)
    assert watched.read().status is CollectionStatus.FIRST_READING
    watched.assert_recorded_is_what_could_be_known()
    assert watched.rows["interval_start_us"].min() == epoch_us(START - 30 * MINUTE)


def test_i_after_two_hours_of_outage_each_interval_has_its_own_work(store, clock):
    watched = Watched(store, clock)
    watched.read(3)
    assert watched.read(by=2 * HOUR).gap_seconds == 7_200
    watched.read(2)
    watched.assert_recorded_is_what_could_be_known()
    busiest = watched.rows.groupby("query_hash")["execution_count"].sum().idxmax()
    own = watched.rows[watched.rows["query_hash"] == busiest]
    assert (own["interval_end_us"] - own["interval_start_us"]).max() <= 15 * MINUTE / timedelta(microseconds=1)


def test_j_a_restored_database_with_old_force_failures_raises_no_alarm(store, clock):
    forced = f"{FORCED_PLAN_FACT}00000000000000aa 00000000000000bb"
    writes = {STATE_FACT: "READ_WRITE"}
    told = iter(
        [
            writes | {IDENTITY_FACT: "before", forced: forced_plan_value(0, "")},
            writes | {IDENTITY_FACT: "restored", forced: forced_plan_value(7, "NO_INDEX")},
            writes | {IDENTITY_FACT: "restored", forced: forced_plan_value(9, "NO_INDEX")},
        ]
    )
    watched = Watched(store, clock, alter=lambda _, reader: Wrapped(reader, read_facts=lambda: next(told)))
    watched.read(2)
    assert query_store_finding(watched).health is Health.HEALTHY
    watched.read()
    (row,) = query_store_finding(watched).rows
    assert "failed 2 times more: NO_INDEX" in row["what"]


def query_store_finding(watched):
    policy = HealthPolicy(STEP, (ONE,), DETECTOR.layout)
    return check_health(watched.store, policy=policy, now=watched.clock())["query_store_is_healthy"]


def test_k_one_slow_execution_beside_ten_thousand_fast_ones_does_not_make_the_statement_slow(store, clock):
    begin = epoch_us(START) - 900_000_000
    rows = [stats_row(1, begin, begin + 900_000_000, durations) for durations in ([10e6], [1_000.0] * 10_000)]

    def two_rows(_previous=None):
        return query_store_reading(RuntimeStats.of_rows(rows), None, read_at=clock(), span=ReadingSpan(begin, begin))

    watched = Watched(store, clock, alter=lambda _, reader: Wrapped(reader, read_counters=two_rows))
    watched.read()
    (row,) = watched.rows.to_dict("records")
    assert row["execution_count"] == 10_001
    assert row["elapsed_time_us"] / row["execution_count"] == pytest.approx(1_999.8, rel=1e-4)
    assert row["elapsed_time_us_max"] == 10e6


def test_n_aborted_executions_are_counted_apart_and_change_no_average(store, clock):
    watched = Watched(store, clock, ordered("aborted_executions", START - 2 * HOUR, statement=3, factor=2.0))
    watched.read(6)
    watched.assert_recorded_is_what_could_be_known()
    profile = watched.provider.profiles("sim0001")[3]
    own = watched.rows[watched.rows["query_hash"] == profile.query_hash]
    assert own["aborted_count"].sum() == pytest.approx(own["execution_count"].sum() / 2, rel=0.2)
    assert own["elapsed_time_us"].sum() / own["execution_count"].sum() == pytest.approx(profile.elapsed_us, rel=0.3)


WRITTEN = """SELECT a FROM t -- it's Anna's, don't ask
WHERE name = 'O''Brien' AND id IN (17, 42, 99) /* 'top secret' /* nested */ */ AND b = N'x' -- 'end"""


def test_o_apostrophes_in_comments_hide_no_literal_and_betray_none(store, clock):
    def texts(keys):
        return [StatementText(key.query_hash, mask_tsql_literals(WRITTEN), "SELECT") for key in keys]

    watched = Watched(store, clock, statements=1, alter=lambda _, reader: Wrapped(reader, read_texts=texts))
    watched.read()
    query = watched.provider.profiles("sim0001")[0].query_hash
    kept = store.statement_texts([(ONE, query)])[ONE, query].text
    assert " ".join(kept.split()) == "SELECT a FROM t WHERE name = ? AND id IN (?, ?, ?) AND b = ?"


def test_r_a_query_store_that_is_off_is_told_and_its_silence_is_no_zero(store, clock):
    off = ordered("query_store_off", START + 20 * MINUTE, START + 65 * MINUTE)
    watched = Watched(store, clock, off)
    watched.read(10)
    (row,) = query_store_finding(watched).rows
    assert (row["problem"], row["database"]) == ("off", str(ONE))
    while_off = watched.rows[watched.rows["interval_start_us"] >= epoch_us(START + 20 * MINUTE)]
    assert len(while_off) == 0
    watched.read(6)
    watched.assert_recorded_is_what_could_be_known()
    assert query_store_finding(watched).health is Health.HEALTHY


def test_s_work_of_a_secondary_is_not_counted_as_ours(store, clock):
    def with_secondary(reader):
        def counters(previous=None):
            history = watched.provider.history("sim0001")
            own = reader.read_counters(previous)
            stats, _ = history.query_store(clock(), own.covers_from_us)
            theirs = replace(stats, replica_group_id=stats.replica_group_id + 1)
            both = RuntimeStats(
                *(np.concatenate([getattr(stats, name), getattr(theirs, name)]) for name in RuntimeStats.__slots__)
            )
            return query_store_reading(
                both, None, read_at=own.read_at, span=ReadingSpan(own.covers_from_us, own.next_from_us)
            )

        return Wrapped(reader, read_counters=counters)

    watched = Watched(store, clock, alter=lambda _, reader: with_secondary(reader))
    watched.read(4)
    watched.assert_recorded_is_what_could_be_known()
