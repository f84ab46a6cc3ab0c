"""A wall clock that can be moved while the processes run.

libfaketime 0.9.10 is not used: after a jump `time.sleep` of CPython 3.11 fails with EINVAL unless the monotonic clock
jumps too, which no real one does.
"""

import shutil
import struct
import subprocess
from pathlib import Path

_SECONDS = struct.Struct("q")
_SOURCE = Path(__file__).with_name("clock_offset.c")


class MovableClock:
    """Moves the wall clock of all processes that were started with `variables`.

    Args:
        folder: gets the library and the file with the offset.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock_offset"
        self._library = folder / "clock_offset.so"
        compiler = shutil.which("cc")
        self.movable = compiler is not None
        self.move(0)
        if compiler:
            build = [compiler, "-O2", "-shared", "-fPIC", "-o", str(self._library), str(_SOURCE)]
            subprocess.run(build, check=True)

    @property
    def variables(self) -> dict[str, str]:
        """For the environment of the processes; none where there is no C compiler."""
        if not self.movable:
            return {}
        return {"LD_PRELOAD": str(self._library), "DBPLANMON_TEST_CLOCK": str(self._file)}

    def move(self, seconds: int) -> None:
        """Let the clock be so far ahead of the true time, 0 for right."""
        mode = "r+b" if self._file.exists() else "wb"
        with self._file.open(mode) as file:
            file.write(_SECONDS.pack(seconds))
