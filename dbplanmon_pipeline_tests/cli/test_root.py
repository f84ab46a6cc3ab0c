import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dbplanmon_pipeline.cli.lazy import LazyGroup
from dbplanmon_pipeline.cli.root import COMMANDS

DBPLANMON = (sys.executable, "-m", "dbplanmon_pipeline")


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DBPLANMON, *args], check=False, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_help_lists_every_command_without_importing_one(tmp_path):
    program = (
        "import sys; from dbplanmon_pipeline.cli import dbplanmon\n"
        "try: dbplanmon(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'dagster', 'pandas', 'numpy', 'sqlalchemy', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_every_listed_command_can_be_loaded(cli):
    from dbplanmon_pipeline.cli import dbplanmon

    assert isinstance(dbplanmon, LazyGroup)
    for name in set(COMMANDS) - {"demo"}:
        command = dbplanmon.get_command(None, name)
        assert command is not None
        assert command.help, name


def test_without_a_command_it_explains_itself(cli):
    assert "Usage: " in cli().output


def test_unknown_command_is_wrong_usage(tmp_path):
    done = run("colect", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_wrong_settings_give_one_line_each_and_no_traceback(cli):
    cli.settings.write_text("colection: {}\ninstances: 7\n")
    done = cli("check")
    assert (done.exit_code, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 2
    assert all(line.startswith("dbplanmon: ") for line in done.stderr.splitlines())


def test_missing_settings_file_is_one_line(tmp_path):
    done = run("--config", "nowhere.yaml", "collect", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere.yaml" in done.stderr


def test_closed_pipe_ends_quietly(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*DBPLANMON, "grants"], check=False, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""


def heed_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupt_ends_quietly(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "dbplanmon.yaml").write_text(
            "environment: development\ninstances:\n- {name: slow, engine: postgres, server: 127.0.0.1, "
            f"port: {silent.getsockname()[1]}, login: {{user: nobody}}, databases: [sales]}}\n"
        )
        process = subprocess.Popen(
            [*DBPLANMON, "-v", "collect"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A suite started in the background by a shell ignores interrupts, and a child would inherit that.
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - it sets one handler and takes no lock
        )
        silent.settimeout(120)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in error


def test_version_is_told(cli):
    import dbplanmon_pipeline

    assert dbplanmon_pipeline.__version__ in cli("--version").output


@pytest.mark.parametrize(
    "args",
    [
        ("baselines", "--as-of", "yesterday"),
        ("hotspots", "--window", "5"),
        ("baselines", "--as-of", "2999-01-01"),
        ("summary", "--day", "2999-01-01"),
        ("alerts", "list", "--since", "100000000d"),
    ],
)
def test_value_that_cannot_be_read_is_wrong_usage(cli, args):
    assert cli(*args).exit_code == 2


def test_json_escapes_what_could_move_a_cursor(capsys):
    from dbplanmon_pipeline.cli.output import print_json

    print_json({"statement": "SELECT '\x1b[2J\x9b'", "share": float("nan")})
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out) == {"statement": "SELECT '\x1b[2J\x9b'", "share": None}


def test_control_characters_of_a_cell_do_not_reach_the_terminal(capsys):
    from dbplanmon_pipeline.cli.output import print_table, print_text

    print_table(("a", "b"), [("\x1b]0;title\x07x", 1.5)], empty="")
    print_text("SELECT 1\n\x1b[31m  FROM t")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "  FROM t" in out


def test_table_in_a_pipe_is_aligned_and_whole(capsys):
    from dbplanmon_pipeline.cli.output import print_table

    print_table(("name", "n"), [("a" * 200, 1), ("b", 1000)], empty="")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("a" * 200)
    assert {len(line) for line in lines} == {207}
