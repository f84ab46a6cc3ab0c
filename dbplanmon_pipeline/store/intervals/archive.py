"""The folder of sealed days: one Parquet file per UTC day, local or any fsspec URL.

A file gets its name from its content and appears only whole (temporary file, fsync, rename, fsync of the folder); it
counts only once its row stands in `archive_segment`. What a broken run leaves behind is swept.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Protocol

from dbplanmon_pipeline.errors import StoreError

_ABANDONED = timedelta(hours=1)
_TEMPORARY = ".tmp"
_PREFIX = "interval_metric_"


class ArchiveFolder(Protocol):
    """Where sealed days are kept."""

    @contextmanager
    def writer(self) -> Iterator["Draft"]:
        """A draft to write into; it is gone afterwards unless it was published."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A published file.

        Raises:
            FileNotFoundError: it is not there.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens when it is gone."""
        ...

    def sweep(self, keep: frozenset[str], now: datetime) -> list[str]:
        """Remove drafts and files that are not in `keep` and older than an hour; returns their names."""
        ...


class Draft(Protocol):
    """A file that is being written."""

    @property
    def stream(self) -> IO[bytes]:
        """Where to write."""
        ...

    def publish(self, day: date) -> tuple[str, int, str]:
        """Make it durable and visible; returns name, size [bytes] and SHA-256."""
        ...


def open_archive(location: str) -> ArchiveFolder:
    """The folder at a path or URL; nothing is made before the first day is sealed.

    Raises:
        StoreError: a URL needs fsspec or a file system that is not installed.
    """
    if "://" not in location:
        return LocalFolder(Path(location))
    if location.startswith("file://"):
        return LocalFolder(Path(location.removeprefix("file://")))
    try:
        import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415 - only archives behind a URL need it

        filesystem, root = fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:
        scheme = location.partition("://")[0]
        raise StoreError(f"an archive at {scheme}:// needs fsspec and its driver for {scheme}; install them") from error
    return RemoteFolder(filesystem, root)


class LocalFolder:
    """An archive in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    @contextmanager
    def writer(self) -> Iterator["LocalDraft"]:
        """See `ArchiveFolder.writer`."""
        self._root.mkdir(parents=True, exist_ok=True)
        path = self._root / f"{_PREFIX}{secrets.token_hex(8)}{_TEMPORARY}"
        try:
            with path.open("wb") as stream:
                yield LocalDraft(path, stream)
        finally:
            path.unlink(missing_ok=True)

    def open(self, name: str) -> IO[bytes]:
        """See `ArchiveFolder.open`."""
        return (self._root / name).open("rb")

    def remove(self, name: str) -> None:
        """See `ArchiveFolder.remove`."""
        (self._root / name).unlink(missing_ok=True)

    def sweep(self, keep: frozenset[str], now: datetime) -> list[str]:
        """See `ArchiveFolder.sweep`."""
        removed = []
        for path in sorted(self._root.glob(f"{_PREFIX}*")):
            if path.name in keep or not path.is_file():
                continue
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if now - written > _ABANDONED:
                path.unlink(missing_ok=True)
                removed.append(path.name)
        return removed


class LocalDraft:
    """A file in the making beside its final place."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path = path
        self.stream = stream

    def publish(self, day: date) -> tuple[str, int, str]:
        """See `Draft.publish`."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        with self._path.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        name = _final_name(day, digest)
        size = self._path.stat().st_size
        self._path.rename(self._path.with_name(name))
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return name, size, digest


class RemoteFolder:
    """An archive behind an fsspec URL; a file is moved to its name once it is whole."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")

    def __str__(self) -> str:
        return self._root

    @contextmanager
    def writer(self) -> Iterator["RemoteDraft"]:
        """See `ArchiveFolder.writer`."""
        self._filesystem.makedirs(self._root, exist_ok=True)
        path = f"{self._root}/{_PREFIX}{secrets.token_hex(8)}{_TEMPORARY}"
        stream = self._filesystem.open(path, "wb")
        try:
            yield RemoteDraft(self._filesystem, path, stream)
        finally:
            stream.close()
            if self._filesystem.exists(path):
                self._filesystem.rm(path)

    def open(self, name: str) -> IO[bytes]:
        """See `ArchiveFolder.open`."""
        opened: IO[bytes] = self._filesystem.open(f"{self._root}/{name}", "rb")
        return opened

    def remove(self, name: str) -> None:
        """See `ArchiveFolder.remove`."""
        if self._filesystem.exists(f"{self._root}/{name}"):
            self._filesystem.rm(f"{self._root}/{name}")

    def sweep(self, keep: frozenset[str], now: datetime) -> list[str]:
        """See `ArchiveFolder.sweep`."""
        removed = []
        for path in sorted(self._filesystem.glob(f"{self._root}/{_PREFIX}*")):
            name = path.rsplit("/", 1)[-1]
            if name not in keep and now - self._filesystem.modified(path) > _ABANDONED:
                self._filesystem.rm(path)
                removed.append(name)
        return removed


class RemoteDraft:
    """A file in the making behind a URL."""

    def __init__(self, filesystem: Any, path: str, stream: IO[bytes]) -> None:
        self._filesystem = filesystem
        self._path = path
        self.stream = stream

    def publish(self, day: date) -> tuple[str, int, str]:
        """See `Draft.publish`."""
        self.stream.close()
        with self._filesystem.open(self._path, "rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        name = _final_name(day, digest)
        size = int(self._filesystem.size(self._path))
        self._filesystem.mv(self._path, f"{self._path.rsplit('/', 1)[0]}/{name}")
        return name, size, digest


def _final_name(day: date, digest: str) -> str:
    return f"{_PREFIX}{day:%Y-%m-%d}_{digest[:12]}.parquet"
