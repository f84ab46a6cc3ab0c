"""Code server, daemon, webserver and status page as one: started in order, watched, and nothing stays behind."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dbplanmon_pipeline.cli.running.child import Child, ChildSpec
from dbplanmon_pipeline.cli.running.home import DagsterHome
from dbplanmon_pipeline.cli.running.ports import accepts, answers, free_port, reachable_host
from dbplanmon_pipeline.cli.running.restarts import RestartPolicy
from dbplanmon_pipeline.cli.running.runs import migrate, terminate_runs
from dbplanmon_pipeline.errors import DbPlanMonError

CODE_SERVER, DAEMON, WEBSERVER, STATUS = "code server", "daemon", "webserver", "status page"
MODULE = "dbplanmon_pipeline.definitions"

POLL_SECONDS = 0.2
START_SECONDS = 300.0
"""A slow start is no failure: a busy machine takes minutes to import Dagster three times."""

STATUS_AGAIN_SECONDS = 60.0
"""A status page that cannot live must not end the collection: it is tried again, but seldom."""

DAEMON_BY, RUNS_BY, REST_BY = 2.5, 4.5, 6.0
"""Seconds after the wish to stop by which each step is over; a busy machine may add to the last, ten are allowed."""

GONE_SECONDS = 2.0
"""Longest wait for killed processes to be gone; where nobody reaps them they never are."""


class ChildFailed(DbPlanMonError):
    """A child died too often, or never came up."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As a browser on this host takes it."""
        host = reachable_host(self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@dataclass(slots=True)
class Supervisor:
    """Looks after the children.

    Attributes:
        home: where state lies.
        address: where the webserver listens.
        status: where the status page listens; None: it is not started.
        environ: variables of the children.
        stopping: asked often; true ends everything.
        tell: gets an event (`starting`, `ready`, `restarting`, `stopping`, `stopped`) and its facts.
        log: takes what the children say.
        restarts: how often a child that dies is started again.
    """

    home: DagsterHome
    address: Address
    status: Address | None
    environ: Mapping[str, str]
    stopping: Callable[[], bool]
    tell: Callable[[str, Mapping[str, object]], None]
    log: logging.Logger
    restarts: RestartPolicy = field(default_factory=RestartPolicy)
    _specs: dict[str, ChildSpec] = field(default_factory=dict)
    _children: dict[str, Child] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Start, watch, and stop when asked to.

        Raises:
            ChildFailed: a child cannot be kept running; everything is stopped.
        """
        self.tell("starting", {"home": self.home.folder, "log": self.home.log_file})
        migrate(self.home.folder)
        code_port = free_port()
        self.home.write_workspace(code_port)
        self._specs = {spec.name: spec for spec in child_specs(code_port, self.home.workspace_file, self.address)}
        if self.status is not None:
            self._specs[STATUS] = status_spec(self.status)
        try:
            if self.status is not None:
                # First, so that it can say what is wrong while Dagster does not come up.
                self._start(STATUS)
            self._start(CODE_SERVER)
            self._watch_until(lambda: accepts(code_port), CODE_SERVER)
            self._start(DAEMON)
            self._start(WEBSERVER)
            host = reachable_host(self.address.host)
            self._watch_until(lambda: answers(host, self.address.port, "/server_info"), WEBSERVER)
            if self.status is not None:
                host, port = reachable_host(self.status.host), self.status.port
                self._watch_until(lambda: answers(host, port, "/health/live"), STATUS)
            if not self.stopping():
                self.tell("ready", {"url": self.address.url, **self._status_urls()})
            while not self.stopping():
                self._watch()
        finally:
            self._stop()

    def _status_urls(self) -> dict[str, str]:
        if self.status is None:
            return {}
        return {"status_url": self.status.url, "health_url": f"{self.status.url}/health"}

    def _start(self, name: str) -> None:
        if not self.stopping():
            self._children[name] = Child(self._specs[name], self.environ, self.log)

    def _watch_until(self, done: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.stopping() and not done():
            if time.monotonic() > deadline:
                raise ChildFailed(f"the {name} did not answer within {START_SECONDS:.0f} s; see {self.home.log_file}")
            self._watch()

    def _watch(self) -> None:
        """Look after the children once."""
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        for name, child in list(self._children.items()):
            code = child.exit_code()
            if code is None or self.stopping():
                continue
            if name not in self._due:
                self._bury(child, code, now)
            elif now >= self._due[name]:
                del self._due[name]
                self._start(name)

    def _bury(self, child: Child, code: int, now: float) -> None:
        child.kill_group()
        name = child.spec.name
        wait = self.restarts.wait_before_restart(name, now)
        if wait is None and name == STATUS:
            wait = STATUS_AGAIN_SECONDS
        if wait is None:
            said = f"; it said: {child.last_line}" if child.last_line else ""
            raise ChildFailed(
                f"the {name} ended {self.restarts.limit + 1} times within "
                f"{self.restarts.within_seconds / 60:.0f} minutes, the last time with {code}{said}"
            )
        self.tell("restarting", {"child": name, "exit_code": code, "wait_seconds": wait})
        self._due[name] = now + wait

    def _stop(self) -> None:
        """Daemon first, so that nothing new starts; then the runs; then the rest; then what is left of the groups."""
        began = time.monotonic()
        children = list(self._children.values())
        self.tell("stopping", {})
        alone, ended = threading.Event(), list[int]()
        # The storage is opened while the daemon goes, and not waited for where it does not answer.
        ending = threading.Thread(target=self._end_runs, args=(alone, began + RUNS_BY, ended), daemon=True)
        if children:
            ending.start()
        _stop_by([child for child in children if child.spec.name != CODE_SERVER], began + DAEMON_BY)
        alone.set()
        if children:
            ending.join(max(0.0, began + REST_BY - time.monotonic()))
        _stop_by(children, began + REST_BY)
        self.tell("stopped", {"runs_terminated": sum(ended)})

    def _end_runs(self, alone: threading.Event, deadline: float, ended: list[int]) -> None:
        try:
            ended.append(terminate_runs(self.home.folder, deadline, alone))
        # Whatever is wrong with the storage of Dagster, no process may stay behind.
        except Exception as error:  # noqa: BLE001
            self.log.warning("runs in progress could not be ended in order: %s", type(error).__name__)


def child_specs(code_port: int, workspace: Path, address: Address) -> tuple[ChildSpec, ...]:
    """The command lines of Dagster's processes.

    `-P` keeps files of the working directory from being taken for modules of Dagster or its dependencies.
    """
    python = (sys.executable, "-P", "-m")
    log = ("--log-format", "json")
    listen = ("-h", "127.0.0.1", "-p", str(code_port))
    web = ("-h", address.host, "-p", str(address.port))
    return (
        ChildSpec(CODE_SERVER, (*python, "dagster", "code-server", "start", *listen, "-m", MODULE, *log)),
        ChildSpec(DAEMON, (*python, "dagster._daemon", "run", "-w", str(workspace), *log)),
        ChildSpec(WEBSERVER, (*python, "dagster_webserver", "-w", str(workspace), *web, *log)),
    )


def status_spec(address: Address) -> ChildSpec:
    """The command line of the status page; it finds settings and state by its variables."""
    listen = ("--host", address.host, "--port", str(address.port))
    return ChildSpec(STATUS, (sys.executable, "-P", "-m", "dbplanmon_pipeline", "serve", *listen))


def _stop_by(children: list[Child], deadline: float) -> None:
    """Ask them to stop, and end whoever is left of their groups at `deadline` [monotonic seconds]."""
    for child in children:
        child.ask_to_stop()
    _wait_while_alive(children, deadline)
    for child in children:
        child.kill_group()
    # On a busy machine it takes a moment until the killed are gone.
    _wait_while_alive(children, time.monotonic() + GONE_SECONDS)


def _wait_while_alive(children: list[Child], deadline: float) -> None:
    while any(child.group_lives() for child in children) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 4)
