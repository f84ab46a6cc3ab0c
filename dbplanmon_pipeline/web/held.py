"""Answers that take a while to find out: found by one thread at a time, kept, and handed to everybody who asks."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

KEEP_SECONDS = 5.0
SHARE = 0.05
"""At most this share of the time is spent on finding out: what takes long is kept longer."""

LONGEST_KEEP_SECONDS = 300.0
STALE_SECONDS = 30.0
"""An answer that is older than it should be by up to so much is still handed out while a new one is on its way."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """Attributes: what was found, when that was (`time.monotonic`), and how long it took [seconds]."""

    value: T
    at: float
    seconds: float

    def age_seconds(self) -> float:
        """How old it is."""
        return max(time.monotonic() - self.at, 0.0)


class Held(Generic[T]):
    """The newest answer of one question.

    A question that hangs holds one thread, however often it is asked again, and keeps no process from ending.

    Args:
        name: of the thread.
        find: gives the answer; may block. An exception goes to those who wait for it.
        keep_seconds: at least so long an answer is good.
    """

    def __init__(self, name: str, find: Callable[[], T], *, keep_seconds: float = KEEP_SECONDS) -> None:
        self._name = name
        self._find = find
        self._keep = keep_seconds
        self._lock = threading.Lock()
        self._answer: Answer[T] | None = None
        self._running: Future[Answer[T]] | None = None
        self._began = 0.0

    @property
    def answer(self) -> Answer[T] | None:
        """The newest answer, however old; None before the first."""
        return self._answer

    @property
    def running_seconds(self) -> float:
        """How long somebody has been finding out; 0 while nobody does."""
        return time.monotonic() - self._began if self._running is not None else 0.0

    def is_fresh(self, extra_seconds: float = 0.0) -> bool:
        """True where there is an answer that is good, or was until lately."""
        answer = self._answer
        return answer is not None and answer.age_seconds() <= self._good_for(answer) + extra_seconds

    def ask(self) -> "Future[Answer[T]]":
        """Begin to find out, unless that is under way; the future is that of whoever began."""
        with self._lock:
            running = self._running
            if running is None:
                # A quick answer may be there before this returns: `_running` is then empty again.
                running = self._running = Future()
                running.set_running_or_notify_cancel()
                self._began = time.monotonic()
                threading.Thread(target=self._run, args=(running,), name=self._name, daemon=True).start()
            return running

    def settle(self, wait_seconds: float) -> None:
        """Wait for whoever is finding out, before what they use is closed."""
        running = self._running
        if running is not None:
            wait([running], timeout=wait_seconds)

    async def get(self, wait_seconds: float, stale_seconds: float = STALE_SECONDS) -> Answer[T] | None:
        """The answer, at once where it is good enough.

        Args:
            wait_seconds: how long to wait for a new one, counted from when somebody began to find out.
            stale_seconds: how much older than good it may be.

        Returns:
            The newest answer there is after waiting; None where none came at all.
        """
        if self.is_fresh():
            return self._answer
        running = self.ask()
        left = wait_seconds - self.running_seconds
        if not self.is_fresh(stale_seconds) and left > 0:
            # Waiting like this cancels nothing: the next one who asks may still get the answer.
            await asyncio.wait([_quiet(asyncio.wrap_future(running))], timeout=left)
        return self._answer

    def _good_for(self, answer: Answer[T]) -> float:
        return min(max(self._keep, answer.seconds / SHARE), max(self._keep, LONGEST_KEEP_SECONDS))

    def _run(self, future: "Future[Answer[T]]") -> None:
        began = time.monotonic()
        try:
            value = self._find()
        except BaseException as error:  # noqa: BLE001 - those who wait get it
            self._running = None
            future.set_exception(error)
            return
        now = time.monotonic()
        self._answer = Answer(value, now, now - began)
        self._running = None
        future.set_result(self._answer)


def _quiet(waiter: "asyncio.Future[Answer[T]]") -> "asyncio.Future[Answer[T]]":
    """Without a warning where nobody looks at its exception."""
    waiter.add_done_callback(lambda done: done.cancelled() or done.exception())
    return waiter
