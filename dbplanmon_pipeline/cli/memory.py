"""Memory that a long computation asks for again and again."""

import ctypes
import sys

_TRIM, _TOP_PAD, _MMAP = -1, -2, -3
"""Numbers of the parameters in malloc.h of the GNU C library."""

_MOST = (1 << 31) - 1
_STEP = 64 << 20


def keep_freed_memory() -> None:
    """Give large arrays that were freed to those that follow, and to the system only at the end of the process.

    Else each is asked for anew, and the system hands it out page by page, each of which it clears: a fifth of the time
    of a back-test. Arrow, which keeps memory of its own, takes it from the same place. Without the GNU C library no
    more than that changes.
    """
    import pyarrow as pa  # noqa: PLC0415 - 0.1 s, which a wrong option need not wait for

    pa.set_memory_pool(pa.system_memory_pool())
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_MMAP, _MOST), (_TRIM, _MOST), (_TOP_PAD, _STEP)):
        mallopt(parameter, value)
