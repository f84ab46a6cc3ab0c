"""One child process in a process group of its own, its output turned into log lines."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from dbplanmon_pipeline.cli.running.loglines import read_line

# A pipe whose other end only we hold: when we are killed, `read` ends and the group is told to go.
_GUARD = 'read -r _; kill -TERM "-$1"; sleep 5; kill -KILL "-$1"'


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to start: a name for people, and the command line."""

    name: str
    argv: tuple[str, ...]


class Child:
    """A running child; everything it starts itself stays in its process group, which ends with us however we end.

    Args:
        spec: what to start.
        environ: its variables.
        log: takes its lines.
    """

    def __init__(self, spec: ChildSpec, environ: Mapping[str, str], log: logging.Logger) -> None:
        self.spec = spec
        self.last_line = ""
        self._log = log
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
            spec.argv,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._guard = _guard_of(self._process.pid)
        self._reader = threading.Thread(target=self._forward, name=f"log-{spec.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id, and id of the process group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process alone, so that it can see to its own children."""
        if self.exit_code() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill_group(self) -> None:
        """End what is left of it and of everything it started."""
        signal_group(self.pid, signal.SIGKILL)
        self._process.wait()
        self._end_guard()

    def group_lives(self) -> bool:
        """True while any process of the group is there."""
        return self.exit_code() is None or signal_group(self.pid, 0)

    def _end_guard(self) -> None:
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def _forward(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            for raw in stream:
                if line := read_line(raw):
                    level, message = line
                    self.last_line = message
                    self._log.log(level, "%s: %s", self.spec.name, message)


def _guard_of(group: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - the shell of the system with our own words
        ("/bin/sh", "-c", _GUARD, "guard", str(group)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def signal_group(group: int, number: int) -> bool:
    """Signal a process group; False when nobody of it is left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
