"""A small file system of its own that can be filled to the last byte."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Disk:
    """Attributes: where it lies; whether it is a file system of its own, which only then may be filled."""

    folder: Path
    own: bool

    @property
    def used_bytes(self) -> int:
        """Bytes in use of the file system."""
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def fill(self) -> int:
        """Take what is free; returns the bytes taken. What the others free in the meantime is taken the next time."""
        taken = 0
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            for block in (1 << 20, 4096):
                size = ballast.tell()
                found = os.statvfs(self.folder)
                room = found.f_bavail * found.f_frsize // block * block
                with contextlib.suppress(OSError):
                    os.posix_fallocate(ballast.fileno(), size, room)
                    ballast.seek(size + room)
                    taken += room
        return taken

    def free(self) -> None:
        """Give it back."""
        (self.folder / "ballast").unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A tmpfs mounted on a new folder; where mounting is not allowed an ordinary folder that cannot be filled."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "dbplanmon-soak", str(folder)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        yield Disk(folder, own=False)
        return
    try:
        yield Disk(folder, own=done.returncode == 0)
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
