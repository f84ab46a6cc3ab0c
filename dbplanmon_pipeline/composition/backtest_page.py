"""The report of a back-test as a file."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.reports.backtest_page import backtest_page
from dbplanmon_pipeline.services.backtested import Backtested


def write_backtest_page(path: Path, found: Backtested, *, source: str, against: str = "") -> None:
    """Put the page there in one step; only the owner and the group may read it.

    Raises:
        StoreError: it cannot be written.
    """
    page = backtest_page(found, source=source, against=against)
    draft = ""
    try:
        handle, draft = tempfile.mkstemp(dir=path.absolute().parent, prefix=".page-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(page)
        Path(draft).chmod(0o640)
        Path(draft).replace(path)
    except OSError as error:
        if draft:
            with suppress(OSError):
                Path(draft).unlink()
        raise StoreError(f"{path} cannot be written: {error.strerror or type(error).__name__}") from error
