"""One response, written while its parts come: results, errors, waits and cuts in any order."""

import time
from typing import Any

from dbplanmon_pipeline_tests.support.tds import tokens, transport
from dbplanmon_pipeline_tests.support.tds.answers import Answer, Delay, Drop, Result, RowCount, ServerError
from dbplanmon_pipeline_tests.support.tds.transport import Closed, Line

ATTENTION_ENTRY: tuple[str, str, list[Any]] = ("attention", "", [])
_FLUSH_BYTES = 1 << 18


class Stopped(Exception):
    """The client gave up and was told that we know."""


class Response:
    """A message to the client.

    The end of each answer says whether more follows, so it is held back until that is known.

    Args:
        line: to the client.
        log: takes an entry when the client gives up.
        code: token that ends each answer.
    """

    def __init__(self, line: Line, log: list[tuple[str, str, list[Any]]], code: int) -> None:
        self._line = line
        self._log = log
        self._code = code
        self._parts: list[bytes] = []
        self._bytes = 0
        self._held: tuple[int, int, int] | None = None
        self._failed = False
        self._owes_attention = False

    def add(self, part: bytes) -> None:
        """Put tokens into the message."""
        self._parts.append(part)
        self._bytes += len(part)
        if self._bytes >= _FLUSH_BYTES:
            self._flush_whole_packets()

    def answer(self, answer: Answer) -> None:
        """Put one answer into the message.

        Raises:
            Stopped: the client gave up; the message has ended.
            Closed: the connection is to be cut, or the client left.
        """
        if isinstance(answer, list):
            for part in answer:
                self.answer(part)
        elif isinstance(answer, Result):
            self._result(answer)
        elif isinstance(answer, ServerError):
            self._error(answer)
        elif isinstance(answer, RowCount):
            self._release()
            self._hold(tokens.COUNTED if answer.count >= 0 else 0, max(answer.count, 0), tokens.UPDATE)
        elif isinstance(answer, Delay):
            self._wait(answer)
            self.answer(answer.then)
        elif isinstance(answer, Drop):
            self._drop(answer)

    def end(self, tail: bytes) -> None:
        """Finish: for a procedure with its `tail` of return values, for a batch (empty `tail`) as it is."""
        if tail:
            self._release()
            self.add(tail + tokens.done(tokens.DONE_PROCEDURE, tokens.FAILED if self._failed else 0))
        else:
            status, count, command = self._held or (0, 0, tokens.SELECT)
            self.add(tokens.done(self._code, status, count, command))
        self._flush(last=True)
        if self._owes_attention:
            self._line.write(tokens.done(status=tokens.ATTENTION))

    def _result(self, result: Result, limit: int | None = None) -> None:
        self._release()
        encodings = tokens.encodings_of(result)
        self.add(tokens.columns(result, encodings))
        for row in tokens.rows(result.rows if limit is None else result.rows[:limit], encodings):
            self.add(row)
        if limit is None:
            self._hold(tokens.COUNTED, len(result.rows))

    def _error(self, error: ServerError) -> None:
        if not (self._held and self._held[0] & tokens.FAILED):  # errors in a row share one end
            self._release()
        self.add(tokens.failure(error))
        self._hold(tokens.FAILED, 0)
        self._failed = True

    def _wait(self, delay: Delay) -> None:
        self._release()
        if self._bytes:
            self._flush(last=False)
        until = time.monotonic() + delay.seconds
        while (left := until - time.monotonic()) > 0 and self._line.waiting(left):
            kind, _ = self._line.read()
            if kind != transport.STOP:
                raise Closed
            self._log.append(ATTENTION_ENTRY)
            if not delay.ignore_attention:
                self.add(tokens.done(status=tokens.ATTENTION))
                self._flush(last=True)
                raise Stopped
            self._owes_attention = True

    def _drop(self, drop: Drop) -> None:
        if drop.result is not None:
            self._result(drop.result, drop.after_rows)
            if drop.after_rows is None:
                self.end(b"")
        if self._bytes:
            self._flush(last=False)
        raise Closed

    def _hold(self, status: int, count: int, command: int = tokens.SELECT) -> None:
        self._held = (status, count, command)

    def _release(self) -> None:
        if self._held:
            status, count, command = self._held
            self._held = None
            self.add(tokens.done(self._code, status | tokens.MORE, count, command))

    def _flush_whole_packets(self) -> None:
        content = b"".join(self._parts)
        whole = len(content) - len(content) % (self._line.packet_size - 8)
        self._line.write(content[:whole], last=False)
        self._parts, self._bytes = [content[whole:]], len(content) - whole

    def _flush(self, *, last: bool) -> None:
        content = b"".join(self._parts)
        self._parts, self._bytes = [], 0
        self._line.write(content, last=last)
