"""A private PostgreSQL server on loopback, for the demo and the tests: started, watched and stopped by us alone."""

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from psycopg.conninfo import make_conninfo

from dbplanmon_pipeline.demo.postgres_binaries import (
    PostgresBinaries,
    PostgresNotStarted,
    copy_wheel,
    find_postgres,
    reachable_by_others,
    reachable_scratch,
    server_account,
)

__all__ = ["PostgresBinaries", "PostgresNotStarted", "PostgresServer", "find_postgres"]

Auth = Literal["trust", "scram-sha-256"]

_HOST = "127.0.0.1"
_SOCKET_PATH_BYTES = 107
_START_SECONDS = 60.0
_PORT_ATTEMPTS = 3
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_SETTINGS = {
    "listen_addresses": _HOST,
    "shared_preload_libraries": "pg_stat_statements",
    "compute_query_id": "on",
    "track_io_timing": "on",
    "fsync": "off",
    "jit": "off",
    "max_connections": "40",
    "shared_buffers": "128MB",
    "timezone": "UTC",
}
_AUTO_EXPLAIN = {
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.sample_rate": "0.02",
    "auto_explain.log_format": "json",
}
_TELLING = ("FATAL", "could not", "error", "invalid", "unrecognized", "missing")
# A pipe whose other end only we hold: when we die, however, `read` ends and the server is told to go.
_GUARD = 'read -r _; kill -INT "$1"; sleep 5; kill -QUIT "$1"'


class PostgresServer:
    """One server with its own data folder; nothing of it is left running when this process ends.

    Args:
        binaries: programs to run.
        folder: holds data and log; when other accounts cannot enter it and we are root, a scratch folder is used
            in its place and removed by `close`.
        settings: added to `postgresql.conf`, over our own defaults.
        auth: `trust` lets any local user in; `scram-sha-256` asks for passwords.
        password: of the account `postgres`; made up when `auth` needs one and none is given.
        auto_explain: load that module too and log a 2 % sample of plans as JSON.
    """

    def __init__(
        self,
        binaries: PostgresBinaries,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        auth: Auth = "trust",
        password: str | None = None,
        auto_explain: bool = False,
    ) -> None:
        self._given_binaries = binaries
        self._given_folder = folder
        self._settings = {**_SETTINGS, **(_AUTO_EXPLAIN if auto_explain else {}), **(settings or {})}
        self._auth = auth
        self.password = (password or secrets.token_urlsafe(18)) if auth != "trust" else password
        self._account = server_account()
        self._scratch: Path | None = None
        self._base: Path | None = None
        self._bin = binaries.folder
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """TCP port on loopback; 0 before the first start, the same one after a restart."""
        return self._port

    @property
    def running(self) -> bool:
        """True while the server process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def data_folder(self) -> Path:
        """Where the cluster lies, once `init` has chosen the place."""
        return self._place() / "data"

    @property
    def log_file(self) -> Path:
        """What the server writes to its standard error."""
        return self._place() / "server.log"

    def init(self) -> Self:
        """Create the cluster; an existing one is kept as it is.

        Raises:
            PostgresNotStarted: `initdb` failed, or no account or folder serves.
        """
        if (self.data_folder / "PG_VERSION").exists():
            return self
        self.data_folder.mkdir(parents=True, exist_ok=True)
        self._hand_over(self.data_folder)
        self.data_folder.chmod(0o700)
        self._initdb()
        with (self.data_folder / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude 'dbplanmon.conf'\n")
        return self

    def start(self) -> Self:
        """Start the server and wait until it takes connections.

        Raises:
            PostgresNotStarted: it ended or did not get ready; the message quotes its log.
        """
        if self.running:
            return self
        chosen = self._port
        for attempt in range(_PORT_ATTEMPTS):
            self._port = chosen or _free_port()
            self._write_settings()
            self._launch()
            complaint = self._await_ready()
            if complaint is None:
                return self
            self.stop()
            if chosen or "Address already in use" not in complaint or attempt == _PORT_ATTEMPTS - 1:
                self._port = chosen
                raise PostgresNotStarted(f"PostgreSQL did not start from {self._bin}: {complaint}")
        return self

    def stop(self) -> None:
        """Fast shutdown, an immediate one after 10 s; does nothing when the server is not running."""
        self._end_guard()
        process, self._process = self._process, None
        if process is None:
            return
        for sign, patience in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            if process.poll() is None:
                process.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                return

    def restart(self) -> Self:
        """Stop and start on the same port."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop, and remove the scratch folder if there is one; the data in `folder` stays."""
        atexit.unregister(self.close)
        self.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = self._base = None

    def __enter__(self) -> Self:
        try:
            return self.init().start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def dsn(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """Connection string in libpq keywords; the superuser's own password is filled in."""
        return make_conninfo(
            host=_HOST, port=self._port, user=user, dbname=database, password=self._password(user, password)
        )

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """The same as a SQLAlchemy URL for psycopg 3."""
        secret = self._password(user, password)
        login = quote(user, safe="") + (f":{quote(secret, safe='')}" if secret else "")
        return f"postgresql+psycopg://{login}@{_HOST}:{self._port}/{quote(database, safe='')}"

    def _password(self, user: str, password: str | None) -> str | None:
        return self.password if password is None and user == "postgres" else password

    def _place(self) -> Path:
        """Choose once where data and programs lie, so that the server's account can reach both."""
        if self._base is not None:
            return self._base
        self._given_folder.mkdir(parents=True, exist_ok=True)
        base = self._given_folder.resolve()
        if self._account is not None:
            if not reachable_by_others(base):
                base = self._scratch = reachable_scratch()
            if not reachable_by_others(self._bin):
                self._bin = copy_wheel(self._given_binaries, base / "programs").folder
        self._base = base
        return base

    def _hand_over(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _spawn(self, *command: str, stdin: int | None = None, output: int) -> subprocess.Popen[bytes]:
        """A child as the server's account, in a session of its own, with none of our environment."""
        drop = self._account
        return subprocess.Popen(  # noqa: S603 - our own programs, no shell
            command,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
            user=drop.uid if drop else None,
            group=drop.gid if drop else None,
            extra_groups=[] if drop else None,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def _initdb(self) -> None:
        options = ["-U", "postgres", "--encoding=UTF8", "--locale=C", "--no-sync", f"--auth={self._auth}"]
        secret_file = self._place() / f"initdb-{secrets.token_hex(4)}"
        if self.password is not None:
            secret_file.touch(mode=0o600)
            secret_file.write_text(self.password, encoding="utf-8")
            self._hand_over(secret_file)
            options.append(f"--pwfile={secret_file}")
        try:
            command = (str(self._bin / "initdb"), "-D", str(self.data_folder), *options)
            child = self._spawn(*command, output=subprocess.PIPE)
            output, _ = child.communicate(timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            raise PostgresNotStarted(f"initdb of {self._bin} does not run: {error}") from None
        finally:
            secret_file.unlink(missing_ok=True)
        if child.returncode:
            told = output.decode(errors="replace").strip().splitlines()[-3:]
            raise PostgresNotStarted(f"initdb of {self._bin} failed ({child.returncode}): {' '.join(told)}")

    def _write_settings(self) -> None:
        sockets = str(self._place())
        fits = len(f"{sockets}/.s.PGSQL.{self._port}".encode()) <= _SOCKET_PATH_BYTES and self._account is None
        own = {"port": str(self._port), "unix_socket_directories": sockets if fits else ""}
        lines = [f"{name} = '{_quoted(value)}'\n" for name, value in {**self._settings, **own}.items()]
        target = self.data_folder / "dbplanmon.conf"
        target.write_text("".join(lines), encoding="utf-8")
        self._hand_over(target)

    def _launch(self) -> None:
        with self.log_file.open("wb") as log:
            program = (str(self._bin / "postgres"), "-D", str(self.data_folder))
            try:
                self._process = self._spawn(*program, output=log.fileno())
            except OSError as error:
                raise PostgresNotStarted(f"{program[0]} does not run: {error.strerror}") from None
        guard = ("/bin/sh", "-c", _GUARD, "guard", str(self._process.pid))
        self._guard = self._spawn(*guard, stdin=subprocess.PIPE, output=subprocess.DEVNULL)
        atexit.register(self.close)

    def _end_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            guard.wait()
            if guard.stdin is not None:
                guard.stdin.close()

    def _await_ready(self) -> str | None:
        """None when ready, else what the server said."""
        process = self._process
        until = time.monotonic() + _START_SECONDS
        while process is not None and time.monotonic() < until:
            if process.poll() is not None:
                return self._last_words()
            if self._says_ready(process.pid):
                return None
            time.sleep(0.02)
        return f"not ready after {_START_SECONDS:.0f} s; {self._last_words()}"

    def _says_ready(self, pid: int) -> bool:
        """Line 8 of `postmaster.pid` is the state; no other program is needed to ask."""
        try:
            lines = (self.data_folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _last_words(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        telling = [line for line in lines if any(word in line for word in _TELLING)]
        return " | ".join((telling or lines)[-3:]) or "its log is empty"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _quoted(value: str) -> str:
    return value.replace("'", "''")
