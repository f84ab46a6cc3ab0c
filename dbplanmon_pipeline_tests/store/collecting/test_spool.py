"""Files of the spool: whole or not there, in order, within their bounds."""

import errno
import hashlib
import os
import stat
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import SpooledReading
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading
from dbplanmon_pipeline.errors import StoreError, StoreUnavailable
from dbplanmon_pipeline.store import DiskSpool
from dbplanmon_pipeline.store.collecting.spool import SUFFIX

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
ONE, TWO = DatabaseRef("prod", "Zürich/äöü"), DatabaseRef("prod", "two")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "spool"


@pytest.fixture
def spool(folder):
    return DiskSpool(folder, 1_000_000, timedelta(hours=1))


def reading(ref=ONE, tick=NOON, counters=5, covers=0, following=0):
    dice = np.random.default_rng(counters)
    longs = {
        name: dice.integers(-(2**63), 2**63, counters)
        for name in ("query_hash", "plan_hash", "interval_start_us", "interval_end_us", "life_began_us")
    }
    values = dice.random((counters, len(COUNTERS)))
    values[:, 3] = np.nan
    keys, lives = tuple(f"{n}@1" for n in range(counters)), ("life",) * counters
    extrema = dice.random((counters, len(EXTREMA)))
    return SpooledReading(
        ref,
        Engine.SQLSERVER,
        CounterReading(
            tick, keys, lives, **longs, values=values, extrema=extrema, covers_from_us=covers, next_from_us=following
        ),
    )


def test_what_is_loaded_is_what_was_kept(spool):
    kept = [reading(covers=11, following=12), reading(TWO, counters=0)]
    spool.keep(NOON, kept)
    (batch,) = spool.waiting()
    loaded = spool.load(batch)
    assert batch.tick == NOON
    assert [(one.ref, one.engine, one.reading.read_at) for one in loaded] == [(k.ref, k.engine, NOON) for k in kept]
    for one, other in zip(loaded, kept, strict=True):
        for name in ("keys", "lives", "covers_from_us", "next_from_us"):
            assert getattr(one.reading, name) == getattr(other.reading, name)
        for name in ("query_hash", "plan_hash", "values", "extrema", "interval_start_us", "life_began_us"):
            np.testing.assert_array_equal(getattr(one.reading, name), getattr(other.reading, name))


def test_batches_wait_in_the_order_of_their_ticks(spool):
    for step in (3, 1, 2, 1):
        spool.keep(NOON + STEP * step, [reading()])
    assert [batch.tick for batch in spool.waiting()] == [NOON + STEP * step for step in (1, 1, 2, 3)]


def test_nothing_is_made_before_the_first_reading(spool, folder):
    assert (spool.waiting(), spool.left_off(), spool.expire(NOON).batches) == ([], {}, 0)
    assert not folder.exists()


def test_it_knows_where_the_newest_reading_of_each_database_left_off(spool):
    spool.keep(NOON, [reading(ONE, covers=1, following=2), reading(TWO, covers=3, following=4)])
    spool.keep(NOON + STEP, [reading(ONE, covers=5, following=6)])
    found = spool.left_off()
    assert {ref: (one.read_at, one.covers_from_us, one.by_interval) for ref, one in found.items()} == {
        ONE: (NOON + STEP, 6, True),
        TWO: (NOON, 4, True),
    }


def test_the_oldest_go_when_there_is_no_room(folder):
    spool = DiskSpool(folder, 1_000_000, timedelta(days=1))
    spool.keep(NOON, [reading(counters=200)])
    size = spool.waiting()[0].size_bytes
    bounded = DiskSpool(folder, size * 3 + size // 2, timedelta(days=1))
    losses = [bounded.keep(NOON + STEP * step, [reading(counters=200)]) for step in range(1, 6)]
    assert [loss.readings for loss in losses] == [0, 0, 1, 1, 1]
    assert [batch.tick for batch in bounded.waiting()] == [NOON + STEP * step for step in (3, 4, 5)]


def test_readings_larger_than_the_spool_are_one_clear_error(folder):
    with pytest.raises(StoreUnavailable, match=r"^1 readings take \d+ bytes, .* raise collection\.spool\.max_mb$"):
        DiskSpool(folder, 100, timedelta(hours=1)).keep(NOON, [reading()])


def test_what_is_too_old_goes(spool):
    for step in range(4):
        spool.keep(NOON + STEP * step, [reading()])
    lost = spool.expire(NOON + STEP * 14)
    assert (lost.batches, lost.readings) == (2, 2)
    assert len(spool.waiting()) == 2


@pytest.mark.parametrize("place", [0, 18, 40, -20, -1])
def test_a_changed_byte_is_noticed(spool, folder, place):
    spool.keep(NOON, [reading()])
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    (batch,) = spool.waiting()
    with pytest.raises(StoreError, match="damaged"):
        spool.load(batch)


@pytest.mark.parametrize("length", [0, 3, 20, 60])
def test_a_file_that_is_cut_off_is_noticed_and_breaks_nothing_else(spool, folder, length):
    spool.keep(NOON, [reading()])
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:length])
    (batch,) = spool.waiting()
    with pytest.raises(StoreError):
        spool.load(batch)
    assert spool.left_off() == {}
    spool.keep(NOON + STEP, [reading()])
    assert list(spool.left_off()) == [ONE]


def test_what_a_killed_process_was_writing_is_no_batch(spool, folder):
    spool.keep(NOON, [reading()])
    (folder / f"{epoch_us(NOON):020d}-half.spool.part").write_bytes(b"half")
    (folder / "README").write_text("not ours")
    assert len(spool.waiting()) == 1


def test_what_a_killed_process_was_writing_goes_an_hour_later(spool, folder):
    spool.keep(NOON, [reading()])
    parts = [folder / f"{name}{SUFFIX}.part" for name in ("old", "young")]
    for part, hours in zip(parts, (2, 0), strict=True):
        part.write_bytes(b"half")
        moment = part.stat().st_mtime - hours * 3600
        os.utime(part, (moment, moment))
    spool.keep(NOON + STEP, [reading()])
    assert [part.exists() for part in parts] == [False, True]


def test_a_file_is_on_the_disk_before_its_name_is_and_the_name_before_it_counts(spool, folder, monkeypatch):
    synced = []

    def sync(number):
        synced.append((stat.S_ISDIR(os.fstat(number).st_mode), len(spool.waiting())))

    monkeypatch.setattr(os, "fsync", sync)
    spool.keep(NOON, [reading()])
    assert synced == [(False, 0), (True, 1)]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(spool, folder, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left on device; free room"):
        spool.keep(NOON, [reading()])
    assert list(folder.iterdir()) == []


def test_readings_of_another_version_are_told_from_damaged_ones(spool, folder):
    spool.keep(NOON, [reading()])
    (file,) = folder.iterdir()
    content = file.read_bytes()[:-16].replace(b"dbplanmon spool 1", b"dbplanmon spool 9")
    file.write_bytes(content + hashlib.blake2b(content, digest_size=16).digest())
    (batch,) = spool.waiting()
    with pytest.raises(StoreError, match="another version"):
        spool.load(batch)


def test_a_batch_that_another_process_recorded_is_empty(spool):
    spool.keep(NOON, [reading()])
    (batch,) = spool.waiting()
    spool.remove(batch)
    assert spool.load(batch) == []
    spool.remove(batch)
