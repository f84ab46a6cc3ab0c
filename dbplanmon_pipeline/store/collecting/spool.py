"""Readings on disk while the store is away: one file per batch, written whole or not at all, oldest dropped first.

Layout of a file: magic with version, length of the header, header (JSON, zstd: one column per fact), the readings as
`reading_codec` writes them, and a digest of all that. Names begin with the tick, so their order is that of time.
"""

import contextlib
import hashlib
import json
import os
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import zstandard

from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.ports import SpooledBatch, SpooledReading, SpoolLoss
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.readings.spooled_readings import left_off_at
from dbplanmon_pipeline.errors import StoreError, StoreUnavailable
from dbplanmon_pipeline.store.collecting.reading_codec import ReadingEncoder, decode_reading

SUFFIX = ".spool"
_MAGIC = b"dbplanmon spool 1\n"
_PREFIX = struct.Struct("<I")
_DIGEST_BYTES = 16
_TICK_DIGITS = 20
_STALE_SECONDS = 3_600
"""Age from which a temporary file was left behind by a process that died."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One reading of the header."""

    ref: DatabaseRef
    engine: Engine
    covers_from_us: int
    next_from_us: int
    length: int


class DiskSpool:
    """A folder of spooled readings, as `core.ports.ReadingSpool` asks.

    Args:
        folder: made at the first reading that is kept.
        max_bytes: of all files together.
        max_age: older ticks are let go of.
    """

    def __init__(self, folder: Path, max_bytes: int, max_age: timedelta) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age = max_age

    def keep(self, tick: datetime, readings: Sequence[SpooledReading]) -> SpoolLoss:
        """Keep these, whole or not at all; the oldest go where there is no room.

        Raises:
            StoreUnavailable: they cannot be written, or are larger than the spool may be.
        """
        content = _encoded(readings)
        if len(content) > self._max_bytes:
            raise StoreUnavailable(
                f"{len(readings)} readings take {len(content)} bytes, and the spool may have {self._max_bytes}; "
                "raise collection.spool.max_mb"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lost = self.expire(tick) + self._make_room(len(content))
            _write(self._folder, f"{epoch_us(tick):0{_TICK_DIGITS}d}-{uuid.uuid4().hex}{SUFFIX}", content)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreUnavailable(
                f"the spool at {self._folder} cannot be written: {reason}; free room or repair the folder"
            ) from error
        return lost

    def waiting(self) -> list[SpooledBatch]:
        """What is kept, in the order of ticks."""
        found = []
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError),
            os.scandir(self._folder) as files,
        ):
            for file in files:
                moment = file.name.partition("-")[0]
                if file.name.endswith(SUFFIX) and moment.isdigit():
                    with contextlib.suppress(FileNotFoundError):
                        found.append(SpooledBatch(file.name, from_epoch_us(int(moment)), file.stat().st_size))
        return sorted(found, key=lambda batch: batch.name)

    def load(self, batch: SpooledBatch) -> list[SpooledReading]:
        """The readings of a batch; empty where another process has recorded it meanwhile.

        Those that were made with another set of counters are left out.

        Raises:
            StoreError: it is damaged, or of another version of this program.
        """
        try:
            content = (self._folder / batch.name).read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"spooled readings cannot be read: {error.strerror}") from error
        entries, at = _checked_header(content, batch.name)
        readings = []
        for entry in entries:
            body = content[at : at + entry.length]
            at += entry.length
            reading = decode_reading(body, batch.tick, entry.covers_from_us, entry.next_from_us)
            if reading is not None:
                readings.append(SpooledReading(entry.ref, entry.engine, reading))
        return readings

    def remove(self, batch: SpooledBatch) -> None:
        """Let go of a batch; nothing happens where it is gone already.

        Raises:
            StoreError: the file cannot be removed.
        """
        try:
            (self._folder / batch.name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self._folder / batch.name} cannot be removed: {error.strerror}") from error

    def expire(self, now: datetime) -> SpoolLoss:
        """Let go of what is too old to be recorded.

        Raises:
            StoreError: a file cannot be removed.
        """
        old = [batch for batch in self.waiting() if now - batch.tick > self._max_age]
        return self._let_go(old, f"older than {self._max_age}")

    def left_off(self) -> dict[DatabaseRef, CounterReading]:
        """Where the newest reading of each database left off: its moment and span, without counters."""
        found: dict[DatabaseRef, CounterReading] = {}
        for batch in reversed(self.waiting()):
            for entry in self._header(batch):
                if entry.ref not in found:
                    found[entry.ref] = left_off_at(batch.tick, entry.covers_from_us, entry.next_from_us)
        return found

    def _make_room(self, wanted: int) -> SpoolLoss:
        self._sweep()
        batches = self.waiting()
        over = sum(batch.size_bytes for batch in batches) + wanted - self._max_bytes
        oldest = []
        for batch in batches:
            if over <= 0:
                break
            oldest.append(batch)
            over -= batch.size_bytes
        return self._let_go(oldest, f"more than {self._max_bytes} bytes")

    def _let_go(self, batches: Sequence[SpooledBatch], reason: str) -> SpoolLoss:
        lost = SpoolLoss()
        for batch in batches:
            lost += SpoolLoss(1, len(self._header(batch)), reason)
            self.remove(batch)
        return lost

    def _header(self, batch: SpooledBatch) -> list[_Entry]:
        """What a file holds, without reading it; nothing of one that is damaged or gone."""
        try:
            with (self._folder / batch.name).open("rb") as file:
                start = file.read(len(_MAGIC) + _PREFIX.size)
                length = _header_length(start)
                return _entries(file.read(length))
        except (OSError, StoreError, ValueError, KeyError, zstandard.ZstdError):
            return []

    def _sweep(self) -> None:
        """Remove what a process that died in the middle of writing left behind."""
        for file in self._folder.glob(f"*{SUFFIX}.part"):
            with contextlib.suppress(FileNotFoundError):
                if self._folder.stat().st_mtime - file.stat().st_mtime > _STALE_SECONDS:
                    file.unlink()


def _encoded(readings: Sequence[SpooledReading]) -> bytes:
    encoder = ReadingEncoder()
    bodies = [encoder.encode(one.reading).compressed for one in readings]
    header = zstandard.ZstdCompressor(level=1).compress(
        json.dumps(
            {
                "instance": [one.ref.instance for one in readings],
                "database": [one.ref.database for one in readings],
                "engine": [str(one.engine) for one in readings],
                "covers_from_us": [one.reading.covers_from_us for one in readings],
                "next_from_us": [one.reading.next_from_us for one in readings],
                "length": [len(body) for body in bodies],
            },
            separators=(",", ":"),
        ).encode()
    )
    content = b"".join([_MAGIC, _PREFIX.pack(len(header)), header, *bodies])
    return content + hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _checked_header(content: bytes, name: str) -> tuple[list[_Entry], int]:
    """What a file holds, and where its readings begin."""
    said = hashlib.blake2b(memoryview(content)[:-_DIGEST_BYTES], digest_size=_DIGEST_BYTES).digest()
    if said != content[-_DIGEST_BYTES:]:
        raise StoreError(f"the spooled readings in {name} are damaged")
    begin = len(_MAGIC) + _PREFIX.size
    end = begin + _header_length(content[:begin])
    return _entries(content[begin:end]), end


def _header_length(start: bytes) -> int:
    if len(start) < len(_MAGIC) + _PREFIX.size or not start.startswith(_MAGIC):
        raise StoreError("spooled readings are of another version of this program")
    return int(_PREFIX.unpack_from(start, len(_MAGIC))[0])


def _entries(header: bytes) -> list[_Entry]:
    facts: dict[str, list[Any]] = json.loads(zstandard.ZstdDecompressor().decompress(header))
    names = ("instance", "database", "engine", "covers_from_us", "next_from_us", "length")
    rows = zip(*(facts[name] for name in names), strict=True)
    return [
        _Entry(DatabaseRef(instance, database), Engine(engine), *numbers)
        for instance, database, engine, *numbers in rows
    ]


def _write(folder: Path, name: str, content: bytes) -> None:
    """Temporary file, fsync, rename, fsync of the folder: a reader sees all of it or nothing."""
    part = folder / f"{name}.part"
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(folder / name)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
