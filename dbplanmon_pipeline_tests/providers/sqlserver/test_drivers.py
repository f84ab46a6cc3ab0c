import subprocess
import sys
from pathlib import Path

import pytest

from dbplanmon_pipeline.errors import FeatureUnavailable
from dbplanmon_pipeline.providers.sqlserver import drivers
from dbplanmon_pipeline.providers.sqlserver.drivers import (
    DriverKind,
    cannot_load,
    distribution,
    find_driver,
    freetds_library,
    load_pyodbc,
    microsoft_library,
    package_of,
)
from dbplanmon_pipeline.providers.sqlserver.failures import translate


def _package(root: Path, *libraries: str) -> Path:
    for library in libraries:
        path = root / "libs" / library
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def _os_release(folder: Path, text: str) -> Path:
    path = folder / "os-release"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_best_driver_here_is_microsofts(microsoft):
    assert find_driver().kind is DriverKind.MICROSOFT
    assert float(find_driver().version) >= 17


@pytest.mark.parametrize(
    ("registered", "in_wheel", "chosen"),
    [
        (["FreeTDS", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server"], True, "ODBC Driver 18"),
        (["FreeTDS", "ODBC Driver 17 for SQL Server"], True, "ODBC Driver 17"),
        (["FreeTDS"], True, "/wheel/libmsodbcsql-18.6.so"),
        (["FreeTDS"], False, "FreeTDS"),
        (["PostgreSQL"], False, "/usr/lib/libtdsodbc.so"),
    ],
)
def test_drivers_are_preferred_in_this_order(driver, monkeypatch, registered, in_wheel, chosen):
    _pretend(monkeypatch, registered, "/wheel/libmsodbcsql-18.6.so" if in_wheel else None, "/usr/lib/libtdsodbc.so")

    assert find_driver().name_or_path.startswith(chosen)


def test_a_machine_without_any_driver_is_told_what_to_install(driver, monkeypatch):
    _pretend(monkeypatch, ["PostgreSQL"], None, None)

    with pytest.raises(FeatureUnavailable, match=r"no ODBC driver for SQL Server is installed\. Install Microsoft's"):
        find_driver()


def _pretend(monkeypatch, registered: list[str], microsoft: str | None, freetds: str | None) -> None:
    monkeypatch.setattr(load_pyodbc(), "drivers", lambda: registered)
    monkeypatch.setattr(drivers, "microsoft_library", lambda: microsoft and Path(microsoft))
    monkeypatch.setattr(drivers, "freetds_library", lambda: freetds and Path(freetds))


def test_a_driver_is_taken_by_its_path(freetds):
    assert find_driver(freetds.name_or_path) == freetds
    assert freetds.kind is DriverKind.FREETDS


def test_pooling_is_off(driver):
    assert load_pyodbc().pooling is False


def test_a_name_nobody_registered_is_refused_with_the_names_there_are(driver):
    with pytest.raises(FeatureUnavailable, match=r"registered: .*absolute path") as caught:
        find_driver("ODBC Driver 99 for Nothing", "sql1/shop")

    assert caught.value.target == "sql1/shop"


def test_a_path_without_a_file_is_refused(driver, tmp_path):
    with pytest.raises(FeatureUnavailable, match="names a file that is not there"):
        find_driver(str(tmp_path / "libmsodbcsql-18.so"))


def test_a_library_of_somebody_else_is_refused(driver, tmp_path):
    (tmp_path / "libsqlite3odbc.so").touch()

    with pytest.raises(FeatureUnavailable, match="neither Microsoft's driver nor FreeTDS"):
        find_driver(str(tmp_path / "libsqlite3odbc.so"))


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("ID=debian\n", "debian_ubuntu"),
        ("ID=linuxmint\nID_LIKE=ubuntu\n", "debian_ubuntu"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "rhel"),
        ('ID="opensuse-leap"\n', "suse"),
        ("ID=alpine\n", "alpine"),
        ("ID=plan9\n", "debian_ubuntu"),
        ("", "debian_ubuntu"),
    ],
)
def test_the_distribution_chooses_the_build(tmp_path, text, folder):
    assert distribution(_os_release(tmp_path, text)) == folder


def test_a_system_that_does_not_say_what_it_is_counts_as_debian(tmp_path):
    assert distribution(tmp_path / "missing") == "debian_ubuntu"


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_the_newest_build_for_this_machine_and_distribution_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    root = _package(
        tmp_path / "package",
        "linux/rhel/arm64/lib/libmsodbcsql-18.6.so.2.1",
        "linux/rhel/arm64/lib/libmsodbcsql-18.10.so.1.1",
        "linux/rhel/x86_64/lib/libmsodbcsql-19.1.so.1.1",
        "linux/debian_ubuntu/arm64/lib/libmsodbcsql-19.2.so.1.1",
    )

    found = microsoft_library(root, _os_release(tmp_path, "ID=fedora"))

    assert found == root / "libs/linux/rhel/arm64/lib/libmsodbcsql-18.10.so.1.1"


def test_no_build_for_this_machine_is_no_driver(tmp_path):
    assert microsoft_library(_package(tmp_path, "linux/rhel/sparc/lib/libmsodbcsql-18.so"), tmp_path / "none") is None


def test_freetds_is_found_in_a_plain_library_folder(tmp_path):
    (tmp_path / "odbc").mkdir()
    (tmp_path / "odbc" / "libtdsodbc.so").touch()

    assert freetds_library((str(tmp_path / "missing"), str(tmp_path))) == tmp_path / "odbc" / "libtdsodbc.so"


IMPORT = """
from dbplanmon_pipeline.errors import FeatureUnavailable
from dbplanmon_pipeline.providers.sqlserver.drivers import find_driver
try:
    find_driver(None, "sql1")
except FeatureUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        (
            "libodbc.so.2: cannot open shared object file: No such file or directory",
            "sql1: pyodbc needs libodbc.so.2. Run apt-get install unixodbc (Debian, Ubuntu) or dnf install unixODBC",
        ),
        (
            "libltdl.so.7: cannot open shared object file: No such file or directory",
            "sql1: pyodbc needs libltdl.so.7. Run apt-get install libltdl7",
        ),
        ("No module named 'pyodbc'", "sql1: pyodbc is not installed. Run pip install 'dbplanmon-pipeline[sqlserver]'."),
    ],
    ids=["libodbc", "libltdl", "pyodbc"],
)
def test_what_pyodbc_lacks_comes_with_the_line_that_installs_it(tmp_path, complaint, told):
    # A module that fails as the real one does where the library is missing.
    (tmp_path / "pyodbc.py").write_text(f"raise ImportError({complaint!r})", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{IMPORT}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.startswith(told)


def test_importing_the_session_needs_no_pyodbc():
    code = "import sys; sys.modules['pyodbc'] = None; import dbplanmon_pipeline.providers.sqlserver.session"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="names of Linux libraries")
def test_a_driver_that_lacks_a_library_is_told_which_one(freetds, tmp_path):
    # The real driver, made to ask for a library nobody has; unixODBC then says the driver's own file is not found.
    crippled = tmp_path / "libtdsodbc.so"
    crippled.write_bytes(
        Path(freetds.name_or_path).read_bytes().replace(b"libgssapi_krb5.so.2", b"libgssapi_krbX.so.2")
    )
    pyodbc = load_pyodbc()

    with pytest.raises(pyodbc.Error, match="file not found") as caught:
        pyodbc.connect(f"DRIVER={crippled};SERVER=127.0.0.1;PORT=1", timeout=2)
    told = translate(caught.value, "sql1/shop", connecting=True)

    assert isinstance(told, FeatureUnavailable)
    assert "the ODBC driver needs libgssapi_krbX.so.2" in told.message
    assert "libgssapi-krb5-2" in told.remedy


def test_a_registered_driver_without_its_file_is_told_apart(tmp_path):
    told = cannot_load(str(tmp_path / "gone.so"), "sql1")

    assert "is not where it should be" in told.message


def test_a_file_that_is_no_library_cannot_be_loaded(tmp_path):
    (tmp_path / "text.so").write_text("no library", encoding="utf-8")

    assert cannot_load(str(tmp_path / "text.so"), "sql1").message == "the ODBC driver cannot be loaded"


def test_an_unknown_library_is_named_all_the_same():
    assert package_of("libfoo.so.1") == "Install the system package that holds libfoo.so.1."
