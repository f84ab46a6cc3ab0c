"""Pages of summaries in the state folder: each appears whole or not at all, and old ones go."""

import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path

_PAGE = re.compile(r"(?:day|week)-(\d{4}-\d{2}-\d{2})\.html")


def page_path(folder: Path, last_day: date, days: int) -> Path:
    """`day-2026-11-21.html`, or `week-2026-11-22.html` after the last day of the week."""
    return folder / f"{'day' if days == 1 else 'week'}-{last_day.isoformat()}.html"


def write_page(path: Path, page: str) -> None:
    """Put it there in one step; only the owner and the group may read it.

    Raises:
        OSError: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".page-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(page)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).chmod(0o640)
        Path(draft).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(draft).unlink()
        raise


def remove_pages(folder: Path, before: date, keep: Iterable[Path] = ()) -> int:
    """Remove pages of days before then, but for some; files that are none of ours stay. Returns how many went."""
    kept, gone = frozenset(keep), 0
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _PAGE.fullmatch(path.name)
        if match and path not in kept and match[1] < before.isoformat():
            path.unlink(missing_ok=True)
            gone += 1
    return gone
