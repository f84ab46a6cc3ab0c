"""Lines of the log that tell of errors, with the true time at which they appeared."""

import re
from dataclasses import dataclass
from pathlib import Path

_HEAD = re.compile(r"^\S+ \S+Z (?P<level>[A-Z]+) +(?P<text>.*)$")
_TELLING = ("Error", "Exception", "Traceback", "CRITICAL", "FATAL")


@dataclass(frozen=True, slots=True)
class Complaint:
    """Attributes: seconds after the start, level, and the line."""

    seconds: float
    level: str
    text: str


class LogWatch:
    """Reads a growing log, through its rotations.

    Args:
        path: of the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._offset = 0
        self._rest = b""
        self.complaints: list[Complaint] = []

    def look(self, seconds: float) -> None:
        """Note what is new."""
        for line in self._new_lines():
            head = _HEAD.match(line)
            level, text = (head["level"], head["text"]) if head else ("", line)
            if level in {"ERROR", "CRITICAL", "WARNING"} or any(word in text for word in _TELLING):
                self.complaints.append(Complaint(seconds, level or "plain", text[:400]))

    def _new_lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                inode = self._path.stat().st_ino
                if inode != self._inode:
                    self._inode, self._offset = inode, 0
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]
