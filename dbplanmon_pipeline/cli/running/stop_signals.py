"""Requests to stop that a command carries out itself."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# Windows has no SIGHUP.
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


@contextmanager
def noted_stop_signals() -> Iterator[list[int]]:
    """Signals that asked to stop, in order of arrival; the handlers only note them."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda got, _: received.append(got)) for number in STOP_SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
