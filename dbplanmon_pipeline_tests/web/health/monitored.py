"""A status page over a simulated fleet: real server, real store, a clock that stands until it is moved."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.applications import Starlette

from dbplanmon_pipeline.composition import Monitor, Session
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline.web.app import build_app
from dbplanmon_pipeline.web.held import Held
from dbplanmon_pipeline.web.probes import Probes
from dbplanmon_pipeline.web.server import status_server
from dbplanmon_pipeline_tests.services.fleets import START
from dbplanmon_pipeline_tests.support.migrated import put_store

FLEET = "instances: [{name: fleet, engine: simulated, databases: 3, options: {statements: 20}}]\n"


@dataclass
class Watched:
    """A running page, and a session beside it as the daemon has one."""

    url: str
    app: Starlette
    session: Session
    clock: FixedClock

    @property
    def probes(self) -> Probes:
        return self.app.state.probes

    def get(self, path: str, **options: object) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=20) as client:
            return client.get(self.url + path, **options)

    def checks(self, path: str = "/health") -> dict[str, dict]:
        return {check["name"]: check for check in self.get(path).json()["checks"]}

    def forget(self) -> None:
        """Let every answer be too old, so that the next request asks again."""
        self.settle()
        for held in self._held():
            if held.answer is not None:
                held._answer = type(held.answer)(held.answer.value, held.answer.at - 3600, held.answer.seconds)

    def settle(self) -> None:
        for held in self._held():
            held.settle(20)

    def _held(self) -> list[Held]:
        return [self.probes.figures._held, *(held for _, held in self.probes.board._held)]


@contextmanager
def watched(folder: Path, settings: str = FLEET, *, store_there: bool = True) -> Iterator[Watched]:
    (folder / "dbplanmon.yaml").write_text(f"environment: test\n{settings}")
    clock = FixedClock(START)
    monitor = Monitor(load_settings(environ={}, cwd=folder), clock)
    if store_there:
        put_store(monitor.settings.state_dir / "store.db")
    app = build_app(monitor)
    session = monitor.open_session()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready = threading.Event()
        server = status_server(app, ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(30)
        page = Watched(f"http://127.0.0.1:{listener.getsockname()[1]}", app, session, clock)
        page.settle()
        try:
            yield page
        finally:
            session.close()
            server.should_exit = True
            thread.join(30)
