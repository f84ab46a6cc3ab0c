"""The status page on a real socket, with one page of each kind that the guard knows."""

import http.client
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import issue_token
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline.web.access.guard import form_of, require
from dbplanmon_pipeline.web.access.user import user_of
from dbplanmon_pipeline.web.app import build_app
from dbplanmon_pipeline.web.server import status_server
from dbplanmon_pipeline_tests.services.fleets import START
from dbplanmon_pipeline_tests.support.migrated import put_store


@require(Role.VIEWER)
def look(request: Request) -> JSONResponse:
    user = user_of(request)
    client = request.client.host if request.client else ""
    return JSONResponse(
        {"name": user.name, "role": user.role, "client": client, "url": str(request.url_for("look")), **_csrf(request)}
    )


def _csrf(request: Request) -> dict[str, str]:
    from dbplanmon_pipeline.web.access.csrf import csrf_token

    return {"csrf_token": csrf_token(request)}


@require(Role.OPERATOR)
def act(request: Request) -> JSONResponse:
    done.append(user_of(request).name)
    return JSONResponse({"by": user_of(request).name, "note": form_of(request).get("note", "")})


@require(Role.OPERATOR)
async def act_later(request: Request) -> JSONResponse:
    done.append(user_of(request).name)
    return JSONResponse({"body": len(await request.body())})


def fail(request: Request) -> PlainTextResponse:
    raise RuntimeError("password=hunter2 at line 7")


done: list[str] = []
"""Who acted; a refused request must leave nothing here."""

PAGES = [
    Route("/look", look, name="look"),
    Route("/act", act, methods=["POST"]),
    Route("/api/look", look),
    Route("/api/act", act_later, methods=["POST"]),
    Route("/fail", fail),
]


@dataclass
class Site:
    """A running status page."""

    url: str
    store: SqlStore
    clock: Any
    app: Starlette
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").partition(":")[0]

    def token(self, name: str = "anna", role: Role = Role.OPERATOR, **options: object) -> str:
        return issue_token(self.store, name, role, actor="root", now=self.clock(), **options).secret

    def browser(self, path: str = "") -> httpx.Client:
        """A client that keeps cookies and says where its forms come from, as browsers do."""
        client = httpx.Client(base_url=self.url + path, headers={"Origin": self.url}, trust_env=False, timeout=20)
        self.clients.append(client)
        return client

    def logged_in(self, name: str = "anna", role: Role = Role.OPERATOR) -> httpx.Client:
        client = self.browser()
        answer = client.post("/login", data={"token": self.token(name, role)})
        assert answer.status_code == 303, answer.text
        return client

    def raw(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> tuple[int, str]:
        """A request with exactly these headers."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def raw_form(self, path: str, headers: list[tuple[str, str]], **fields: str) -> tuple[int, str]:
        body = urlencode(fields).encode()
        kind = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(body)))]
        return self.raw("POST", path, [*headers, *kind], body)


@contextmanager
def serving(
    folder: Path, web: str = "", *, store_there: bool = True, path: str = "", bind: str = "127.0.0.1"
) -> Iterator[Site]:
    """Serve a settings file whose section `web` has these lines."""
    lines = "".join(f"  {line}\n" for line in web.splitlines())
    (folder / "dbplanmon.yaml").write_text("environment: test\n" + (f"web:\n{lines}" if lines else ""))
    monitor = Monitor(load_settings(environ={}, cwd=folder), FixedClock(START))
    if store_there:
        put_store(monitor.settings.state_dir / "store.db")
    done.clear()
    with running(monitor, PAGES, path=path, bind=bind) as site:
        yield site


@contextmanager
def running(monitor: Monitor, more: Sequence[Route] = (), *, path: str = "", bind: str = "127.0.0.1") -> Iterator[Site]:
    """The status page of a monitor on a free port, with more routes if need be."""
    app = build_app(monitor)
    app.router.routes[:0] = more
    with socket.create_server((bind, 0)) as listener:
        ready = threading.Event()
        server = status_server(app, path=path, ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(30)
        store = monitor.open_session().store
        site = Site(f"http://{bind}:{listener.getsockname()[1]}", store, monitor.clock, app)
        try:
            yield site
        finally:
            for client in site.clients:
                client.close()
            store.close()
            server.should_exit = True
            thread.join(30)
