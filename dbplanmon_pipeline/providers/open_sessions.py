"""The sessions a provider has open, so that another thread can break what runs on them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Generic, Protocol, TypeVar

_BREAK_SECONDS = 0.9


class Breakable(Protocol):
    """A session as the two engines with a wire have it."""

    def interrupt(self, cause: str) -> None:
        """Break the running statement, from any thread; the session takes no further one."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


SessionT = TypeVar("SessionT", bound=Breakable)


class OpenSessions(Generic[SessionT]):
    """Those of one provider; safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._sessions: set[SessionT] = set()

    @contextmanager
    def kept(self, session: SessionT) -> Iterator[SessionT]:
        """Know the session until the block ends; it is closed then, whatever happens."""
        with self._guard:
            self._sessions.add(session)
        try:
            yield session
        finally:
            with self._guard:
                self._sessions.discard(session)
            session.close()

    def interrupt(self, cause: str) -> None:
        """Break every running statement, all at the same time; returns within a second."""
        with self._guard:
            running = list(self._sessions)
        breaking = [threading.Thread(target=session.interrupt, args=(cause,), daemon=True) for session in running]
        for thread in breaking:
            thread.start()
        until = monotonic() + _BREAK_SECONDS
        for thread in breaking:
            thread.join(timeout=max(0.0, until - monotonic()))
