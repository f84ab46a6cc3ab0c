"""The services of systemd: what systemd itself says of the units, and what the scripts do to a file system."""

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline_tests.deploy.programs import DEPLOY, assert_is_a_command
from dbplanmon_pipeline_tests.support.requirements import absent

FOLDER = DEPLOY / "systemd"
UNITS = ["dbplanmon.service", "dbplanmon-status.service"]
SCRIPTS = [FOLDER / "install.sh", FOLDER / "uninstall.sh", DEPLOY / "docker" / "entrypoint.sh"]
MOST_EXPOSED = 20
"""Tenths; systemd calls 2.0 "OK" and gives a service without any protection 9.6."""


def run(*words: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)


@pytest.fixture
def analyze() -> str:
    return shutil.which("systemd-analyze") or absent("systemd", "no systemd-analyze on this machine")


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str
    parser.read(FOLDER / name)
    return parser


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_to_complain_of(name, analyze, tmp_path):
    text = (FOLDER / name).read_text("utf-8")
    # Program and account are not on this machine; everything else is as shipped.
    text = text.replace("/opt/dbplanmon/venv/bin/dbplanmon", sys.executable)
    text = text.replace("User=dbplanmon", "User=daemon").replace("Group=dbplanmon", "Group=daemon")
    for other in UNITS:
        (tmp_path / other).write_text(text if other == name else (FOLDER / other).read_text("utf-8"))
    override = tmp_path / f"{name}.d"
    override.mkdir()
    shutil.copy(FOLDER / "examples" / "credentials.conf", override)
    done = run(analyze, "verify", "--man=no", tmp_path / name)
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or name in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("name", UNITS)
def test_services_are_shut_in(name, analyze):
    done = run(analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", FOLDER / name)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("name", UNITS)
def test_units_start_commands_that_are_there_and_are_stopped_with_patience(name):
    service = unit(name)["Service"]
    assert_is_a_command(service["ExecStart"].split())
    assert service["Restart"] == "on-failure"
    assert int(service["TimeoutStopSec"].removesuffix("s")) > 10
    assert "DBPLANMON_CONFIG=/etc/dbplanmon/dbplanmon.yaml" in service["Environment"]


def test_the_supervisor_alone_gets_the_signal():
    assert unit("dbplanmon.service")["Service"]["KillMode"] == "mixed"


def test_settings_load_and_keep_state_where_the_services_may_write(caplog):
    settings = load_settings(FOLDER / "dbplanmon.yaml", environ={})
    assert settings.state_dir == Path("/var/lib/dbplanmon")
    assert unit("dbplanmon.service")["Service"]["StateDirectory"] == "dbplanmon"
    assert caplog.records == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_is_content(script):
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = run(shellcheck, script)
    assert (done.returncode, done.stdout) == (0, "")


class TestScripts:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "with space"
        folder.mkdir()
        return folder

    def files(self, root: Path) -> dict[str, tuple[int, bytes]]:
        return {
            path.relative_to(root).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
            for path in root.rglob("*")
            if path.is_file()
        }

    def install(self, root: Path, *words: str) -> str:
        done = run(FOLDER / "install.sh", "--root", root, "--package", "none", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_install_puts_units_and_settings_in_place(self, root):
        self.install(root)
        modes = {name: oct(mode) for name, (mode, _) in self.files(root).items()}
        assert modes == {
            "etc/dbplanmon/dbplanmon.yaml": "0o640",
            "etc/systemd/system/dbplanmon.service": "0o644",
            "etc/systemd/system/dbplanmon-status.service": "0o644",
        }
        assert (root / "etc/dbplanmon/secrets").stat().st_mode & 0o777 == 0o750

    def test_twice_is_once_and_settings_of_people_stay(self, root):
        self.install(root)
        (root / "etc/dbplanmon/dbplanmon.yaml").write_text("instances: []\n")
        before = self.files(root)
        self.install(root)
        assert self.files(root) == before

    def test_a_dry_run_says_everything_and_does_nothing(self, root):
        said = self.install(root, "--dry-run")
        assert "+ install -m 0644" in said
        assert list(root.iterdir()) == []

    def test_a_dry_run_on_the_machine_itself_names_account_and_services(self):
        done = run(FOLDER / "install.sh", "--dry-run", "--start", "--python", sys.executable)
        assert done.returncode == 0, done.stderr
        for word in ("useradd", "pip install", "systemctl enable", "systemctl restart", "sqlserver,postgres-store"):
            assert word in done.stdout

    def test_uninstall_keeps_what_was_recorded_unless_told(self, root):
        self.install(root)
        state = root / "var/lib/dbplanmon/store.db"
        state.parent.mkdir(parents=True)
        state.touch()
        for _ in range(2):
            done = run(FOLDER / "uninstall.sh", "--root", root)
            assert done.returncode == 0, done.stderr
        assert set(self.files(root)) == {"etc/dbplanmon/dbplanmon.yaml", "var/lib/dbplanmon/store.db"}
        assert run(FOLDER / "uninstall.sh", "--root", root, "--purge").returncode == 0
        assert self.files(root) == {}

    @pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
    def test_wrong_words_are_refused(self, script):
        for words in (["--nonsense"], ["--root"]):
            done = run(FOLDER / script, *words)
            assert done.returncode == 2
            assert done.stderr.startswith(f"{script}: --")
