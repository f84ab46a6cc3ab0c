"""Arrays in a folder, one file per name, that appear whole or not at all and may be deleted at any time."""

import contextlib
import hashlib
import os
import secrets
import zipfile
from pathlib import Path

import numpy as np

from dbplanmon_pipeline.core.ports.running import Arrays

SUFFIX = ".npz"
_STALE_SECONDS = 3_600
"""Age from which a temporary file was left behind by a process that died."""

_FORGOTTEN_SECONDS = 8 * 86_400
"""Age from which a file belongs to databases that are no longer judged together."""


class StateFolder:
    """Satisfies `core.ports.StateFiles`. Each array has a checksum, so a torn file is noticed when it is read.

    Args:
        folder: made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> Arrays | None:
        """What was saved last; None where there is nothing, or nothing whole."""
        try:
            with self._path(name).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def save(self, name: str, arrays: Arrays) -> None:
        """Replace what is there; where it cannot be written, what was there is gone."""
        path = self._path(name)
        part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            part.replace(path)
            self._sweep(path.stat().st_mtime)
        except OSError:
            for left in (part, path):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _sweep(self, now: float) -> None:
        """Remove what nobody wrote for long, and what a process that died left behind."""
        with contextlib.suppress(OSError), os.scandir(self._folder) as files:
            for file in files:
                limit = _STALE_SECONDS if file.name.endswith(".part") else _FORGOTTEN_SECONDS
                if file.name.endswith((".part", SUFFIX)) and now - file.stat().st_mtime > limit:
                    with contextlib.suppress(OSError):
                        Path(file.path).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}{SUFFIX}"
