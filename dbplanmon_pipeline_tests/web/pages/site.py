"""The status page over a recorded fleet, on a real socket; the clock stands until it is moved."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import issue_token
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline.web.app import build_app
from dbplanmon_pipeline.web.server import status_server
from dbplanmon_pipeline_tests.services import stories

SETTINGS = """\
environment: production
instances:
  - {name: fleet, engine: simulated, databases: 2}
  - {name: shop, engine: postgres, server: 127.0.0.1, port: 9, login: {user: nobody}, databases: [orders]}
"""
NOW = stories.BROKEN_AT + stories.STEP * stories.BROKEN_TICKS


@dataclass
class Site:
    """A running page and its store; `lasts` where it serves a whole file of tests, so that browsers may stay on it."""

    url: str
    store: SqlStore
    clock: FixedClock
    lasts: bool = False

    def get(self, path: str, **options: object) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.get(self.url + path, **options)

    def post(self, path: str, **options: object) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.post(self.url + path, **options)

    def token(self, name: str = "anna", role: Role = Role.OPERATOR) -> str:
        return issue_token(self.store, name, role, actor="root", now=self.clock()).secret

    def bearer(self, role: Role = Role.OPERATOR) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token('robot', role)}"}


def write_slow_past(folder: Path) -> None:
    """Five calm hours, then half an hour in which one statement runs with a worse plan, judged at each tick."""
    past = folder.parent / "calm"
    past.mkdir()
    stories.write_calm_past(past)
    story = stories.continue_story(past, folder)
    story.learn()
    for _ in range(stories.BROKEN_TICKS):
        story.fleet.tick()
        story.analyse()
    story.store.close()


@contextmanager
def serving(
    folder: Path,
    *,
    past: Path | None = None,
    settings: str = SETTINGS,
    path: str = "",
    environ: dict[str, str] | None = None,
    lasts: bool = False,
) -> Iterator[Site]:
    """Serve what was recorded in `past`, on a copy of it; without one there is no store."""
    if past is not None:
        shutil.copytree(past, folder, dirs_exist_ok=True)
    (folder / "dbplanmon.yaml").write_text(f"state_dir: {folder}\n{settings}")
    clock = FixedClock(NOW)
    monitor = Monitor(load_settings(folder / "dbplanmon.yaml", environ=environ or {}), clock)
    app = build_app(monitor)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready = threading.Event()
        server = status_server(app, path=path, ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(30)
        store = monitor.open_session().store
        try:
            yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", store, clock, lasts)
        finally:
            store.close()
            server.should_exit = True
            thread.join(30)
