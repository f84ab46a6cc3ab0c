"""Finds the ODBC driver; the only place that imports pyodbc."""

import ctypes
import platform
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from dbplanmon_pipeline.errors import FeatureUnavailable

MICROSOFT_NAMES = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")
INSTALL_DRIVER = (
    "Install Microsoft's ODBC Driver 18 (package msodbcsql18, or pip install mssql-python-odbc), "
    "or FreeTDS (apt-get install tdsodbc)."
)

_DRIVER_PACKAGE = "mssql_python_odbc"
_FREETDS_NAME = "FreeTDS"
_FREETDS_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
_DISTRIBUTIONS = {
    "debian_ubuntu": {"debian", "ubuntu"},
    "rhel": {"rhel", "fedora", "centos", "amzn", "ol", "rocky", "almalinux"},
    "suse": {"suse", "sles", "opensuse", "opensuse-leap"},
    "alpine": {"alpine"},
}
_MACHINES = {"amd64": "x86_64", "aarch64": "arm64"}
_PACKAGES = {
    "libodbc": "Run apt-get install unixodbc (Debian, Ubuntu) or dnf install unixODBC (Red Hat).",
    "libltdl": "Run apt-get install libltdl7 (Debian, Ubuntu) or dnf install libtool-ltdl (Red Hat).",
    "libkrb5": "Run apt-get install libkrb5-3 libgssapi-krb5-2 (Debian, Ubuntu) or dnf install krb5-libs (Red Hat).",
    "libgssapi": "Run apt-get install libkrb5-3 libgssapi-krb5-2 (Debian, Ubuntu) or dnf install krb5-libs (Red Hat).",
    "libssl": "Run apt-get install libssl3 (Debian, Ubuntu) or dnf install openssl-libs (Red Hat).",
}
_LIBRARY = re.compile(r"\b(lib[\w+.-]+?\.(?:so|dylib)[\w.]*)")


class DriverKind(StrEnum):
    """Which keywords, errors and abilities a driver has."""

    MICROSOFT = "microsoft"
    FREETDS = "freetds"


@dataclass(frozen=True, slots=True)
class Driver:
    """An ODBC driver.

    Attributes:
        kind: whose it is.
        name_or_path: what stands behind `DRIVER=`.
        version: as far as its name tells, for example `18` or `18.6`; else empty.
    """

    kind: DriverKind
    name_or_path: str
    version: str = ""


def load_pyodbc(target: str = "") -> ModuleType:
    """pyodbc, with its own pool switched off: a session that was closed is gone.

    Raises:
        FeatureUnavailable: pyodbc or a library it needs is not installed.
    """
    try:
        import pyodbc  # noqa: PLC0415 - needs a system library that only this engine asks for
    except ImportError as error:
        raise _cannot_import(str(error), target) from None
    pyodbc.pooling = False
    return pyodbc  # type: ignore[no-any-return,unused-ignore]


def find_driver(wanted: str | None = None, target: str = "") -> Driver:
    """The driver of the settings, else Microsoft's newest, else FreeTDS.

    Args:
        wanted: name as registered with unixODBC, or absolute path of a library.
        target: for the message.

    Raises:
        FeatureUnavailable: there is none, or not the one that is wanted.
    """
    registered = [str(name) for name in load_pyodbc(target).drivers()]
    if wanted:
        return _wanted_driver(wanted, registered, target)
    found = next((name for name in MICROSOFT_NAMES if name in registered), None) or microsoft_library()
    found = found or (_FREETDS_NAME if _FREETDS_NAME in registered else freetds_library())
    if found is None:
        raise FeatureUnavailable("no ODBC driver for SQL Server is installed", target=target, remedy=INSTALL_DRIVER)
    return _described(str(found), target)


def microsoft_library(root: Path | None = None, os_release: Path = Path("/etc/os-release")) -> Path | None:
    """Microsoft's driver inside the installed package `mssql_python_odbc`, which is found without importing it.

    Args:
        root: folder of that package; not given: the installed one.
        os_release: tells the distribution, whose folder is preferred.
    """
    root = root or _package_folder()
    if root is None:
        return None
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    system = "macos" if sys.platform == "darwin" else f"linux/{distribution(os_release)}"
    return _newest(root / "libs" / system / machine / "lib", "libmsodbcsql*")


def freetds_library(folders: tuple[str, ...] = _FREETDS_FOLDERS) -> Path | None:
    """The library of FreeTDS at its usual places."""
    multiarch = f"{platform.machine()}-linux-gnu"
    for folder in map(Path, folders):
        for place in (folder / multiarch / "odbc", folder / "odbc", folder / multiarch, folder):
            if found := _newest(place, "libtdsodbc.*"):
                return found
    return None


def distribution(os_release: Path) -> str:
    """Which build of the driver fits; Debian's where the system does not say."""
    try:
        lines = os_release.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "debian_ubuntu"
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    words = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").lower().split()
    return next((folder for word in words for folder, ids in _DISTRIBUTIONS.items() if word in ids), "debian_ubuntu")


def cannot_load(library: str, target: str) -> FeatureUnavailable:
    """Why unixODBC says that a driver's file is not found, which it also says when the file lacks a library.

    Args:
        library: name or path of the driver's library.
        target: for the message.
    """
    if library.startswith("/") and not Path(library).exists():
        return FeatureUnavailable("the ODBC driver is not where it should be", target=target, remedy=INSTALL_DRIVER)
    try:
        ctypes.CDLL(library)
    except OSError as error:
        missing = _LIBRARY.search(str(error))
        name = missing[1] if missing else ""
        if name and name != Path(library).name:
            return FeatureUnavailable(f"the ODBC driver needs {name}", target=target, remedy=package_of(name))
    return FeatureUnavailable("the ODBC driver cannot be loaded", target=target, remedy=INSTALL_DRIVER)


def package_of(library: str) -> str:
    """The line that installs a library."""
    known = next((remedy for name, remedy in _PACKAGES.items() if library.startswith(name)), None)
    return known or f"Install the system package that holds {library}."


def _cannot_import(message: str, target: str) -> FeatureUnavailable:
    missing = _LIBRARY.search(message)
    if missing:
        return FeatureUnavailable(f"pyodbc needs {missing[1]}", target=target, remedy=package_of(missing[1]))
    return FeatureUnavailable(
        "pyodbc is not installed", target=target, remedy="Run pip install 'dbplanmon-pipeline[sqlserver]'."
    )


def _wanted_driver(wanted: str, registered: list[str], target: str) -> Driver:
    if wanted.startswith("/"):
        if not Path(wanted).is_file():
            raise FeatureUnavailable(
                "options.driver names a file that is not there", target=target, remedy="Correct the path."
            )
    elif wanted not in registered:
        known = ", ".join(registered) or "none"
        raise FeatureUnavailable(
            f"no ODBC driver is registered under the name in options.driver (registered: {known})",
            target=target,
            remedy="Correct the name, or write the absolute path of the driver's library.",
        )
    return _described(wanted, target)


def _described(name: str, target: str) -> Driver:
    word = Path(name).name.lower()
    if "freetds" in word or "tdsodbc" in word:
        return Driver(DriverKind.FREETDS, name)
    version = re.search(r"odbc driver (\d+)|msodbcsql-?(\d+(?:\.\d+)?)", word)
    if version or "msodbcsql" in word:
        return Driver(DriverKind.MICROSOFT, name, (version[1] or version[2]) if version else "")
    raise FeatureUnavailable(
        "options.driver is neither Microsoft's driver nor FreeTDS",
        target=target,
        remedy='Write "ODBC Driver 18 for SQL Server", "FreeTDS", or the absolute path of one of their libraries.',
    )


def _package_folder() -> Path | None:
    spec = find_spec(_DRIVER_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _newest(folder: Path, pattern: str) -> Path | None:
    return max((path for path in folder.glob(pattern) if path.is_file()), default=None, key=_version_key)


def _version_key(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", path.name))
