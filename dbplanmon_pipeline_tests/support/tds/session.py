"""The conversation with one client: login, then requests until it leaves."""

import contextlib
import struct
from typing import TYPE_CHECKING, Any

from dbplanmon_pipeline_tests.support.tds import login as logins
from dbplanmon_pipeline_tests.support.tds import tokens, transport
from dbplanmon_pipeline_tests.support.tds.answers import (
    Answer,
    Login,
    Request,
    RowCount,
    ServerError,
)
from dbplanmon_pipeline_tests.support.tds.calls import (
    Call,
    answer_to_batch,
    answer_to_call,
    bare_name,
    calls,
    database_after,
)
from dbplanmon_pipeline_tests.support.tds.incoming import Reader
from dbplanmon_pipeline_tests.support.tds.response import ATTENTION_ENTRY, Response, Stopped
from dbplanmon_pipeline_tests.support.tds.transport import Closed, Line

if TYPE_CHECKING:
    from dbplanmon_pipeline_tests.support.tds.server import TdsServer

_BEGIN, _COMMIT, _ROLLBACK = 5, 7, 8


class Session:
    """Runs in a thread of its own."""

    def __init__(self, server: "TdsServer", line: Line) -> None:
        self.line = line
        self._server = server
        self._login: Login = {}
        self._prepared: dict[int, str] = {}
        self._handles = 0
        self._transactions = 0

    def run(self) -> None:
        """Serve the client until it leaves, is cut off or breaks the protocol."""
        try:
            self._greet()
            while True:
                with contextlib.suppress(Stopped):
                    self._serve(*self.line.read())
        except (Closed, OSError):
            return
        except Exception as error:
            self._server.handler_errors.append(error)
        finally:
            self.line.close()

    def _greet(self) -> None:
        client = logins.wanted_encryption(self._expect(transport.PRELOGIN))
        agreed = logins.agreed_encryption(logins.ENCRYPTION[self._server.encryption], client)
        self.line.write(tokens.prelogin(agreed))
        nobody = logins.ENCRYPTION["not_sup"]
        encrypted = agreed != nobody and client != nobody
        if encrypted:
            self.line.secure(self._server.tls_context())
        login = logins.parse_login(self._expect(transport.LOGIN))
        whole = encrypted and agreed != logins.ENCRYPTION["off"]
        if not whole:
            self.line.unsecure()
        self._accept({**login, "login_encrypted": encrypted, "encrypted": whole})

    def _expect(self, wanted: int) -> bytes:
        kind, content = self.line.read()
        if kind != wanted:
            raise Closed
        return content

    def _accept(self, login: Login) -> None:
        self._login = login
        self._server.logins.append(dict(login))
        if self._server.login_delay and self.line.waiting(self._server.login_delay):
            raise Closed
        if refusal := self._server.refusal(login):
            self.line.write(tokens.failure(refusal) + tokens.done(status=tokens.FAILED))
            raise Closed
        self.line.write(tokens.welcome(login["database"], login["packet"], features=login["features"]))
        self.line.packet_size = login["packet"]

    def _serve(self, kind: int, content: bytes) -> None:
        if kind == transport.STOP:
            self._attention()
            return
        headers = struct.unpack_from("<I", content)[0]
        if kind == transport.BATCH:
            self._batch(content[headers:].decode("utf-16-le"))
        elif kind == transport.CALL:
            for call in calls(Reader(content, headers)):
                self._call(call)
        elif kind == transport.TRANSACTION:
            self._transaction(struct.unpack_from("<H", content, headers)[0])
        else:
            raise Closed

    def _batch(self, sql: str) -> None:
        self._server.log.append(("batch", sql, []))
        known = answer_to_batch(sql)
        response = Response(self.line, self._server.log, tokens.DONE)
        if isinstance(known, RowCount):
            response.add(self._moved(database_after(sql, self._login["database"])))
        response.answer(known or self._handled(Request(sql, [], "batch", self._login)))
        response.end(b"")

    def _moved(self, database: str) -> bytes:
        before = self._login["database"]
        self._login["database"] = database
        return b"" if database == before else tokens.database_changed(database, before)

    def _call(self, call: Call) -> None:
        sql, values, tail = self._statement(call)
        self._server.log.append((call.name, sql or "", values))
        response = Response(self.line, self._server.log, tokens.DONE_IN_PROCEDURE)
        if sql is None:
            response.answer(ServerError(8179, f"Could not find prepared statement with handle {call.values[0]}."))
        else:
            response.answer(answer_to_call(call) or self._handled(Request(sql, values, call.name, self._login)))
        response.end(tokens.return_status() + tail)

    def _statement(self, call: Call) -> tuple[str | None, list[Any], bytes]:
        if call.name == "sp_executesql":
            return call.values[0], call.values[2:], b""
        if call.name in {"sp_prepexec", "sp_prepare"}:
            self._handles += 1
            self._prepared[self._handles] = call.values[2]
            values = call.values[3:] if call.name == "sp_prepexec" else []
            return call.values[2], values, tokens.return_handle(self._handles)
        if call.name == "sp_prepexecrpc":
            procedure = bare_name(call.values[1])
            self._handles += 1
            self._prepared[self._handles] = procedure
            return procedure, call.values[2:], tokens.return_handle(self._handles)
        if call.name == "sp_execute":
            return self._prepared.get(call.values[0]), call.values[1:], b""
        return call.name, call.values, b""

    def _handled(self, request: Request) -> Answer:
        try:
            return self._server.handler(request)
        except Exception as error:
            self._server.handler_errors.append(error)
            return ServerError(50000, f"the test's handler failed: {error!r}")

    def _transaction(self, request: int) -> None:
        if request == _BEGIN:
            self._transactions += 1
            self.line.write(tokens.transaction_began(self._transactions))
        elif request in {_COMMIT, _ROLLBACK}:
            self.line.write(tokens.transaction_ended(self._transactions, committed=request == _COMMIT))
        else:
            self.line.write(tokens.done())

    def _attention(self) -> None:
        self._server.log.append(ATTENTION_ENTRY)
        self.line.write(tokens.done(status=tokens.ATTENTION))
