"""A SQLite store with all tables and no rows, copied into place: making one costs 0.05 s, and many tests want one."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from dbplanmon_pipeline.store import open_store


@cache
def migrated_file() -> Path:
    """Made once in each process; not to be written to."""
    folder = Path(tempfile.mkdtemp(prefix="dbplanmon-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = open_store(f"sqlite:///{folder}/store.db")
    store.upgrade()
    store.close()
    return folder / "store.db"


def put_store(path: Path) -> None:
    """A store at `path`, unless one is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(migrated_file(), path)
