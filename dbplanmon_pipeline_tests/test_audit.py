"""What `make audit` says where the advisory source answers, and where it does not; against a server of our own."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dbplanmon_pipeline_tests.audit import FOUND, NOT_AUDITED

ROOT = Path(__file__).parents[1]
WEAKNESS = {
    "id": "PYSEC-0000-1",
    "summary": "made up",
    "details": "made up",
    "affected": [
        {
            "package": {"name": "bricks", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.4.1"}]}],
        }
    ],
}


@contextmanager
def advisories(status: int = 200, text: str = "") -> Iterator[str]:
    """Says that `bricks` is weak and nothing else, or answers with this status and text."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = {"vulns": [WEAKNESS]} if asked["package"]["name"] == "bricks" else {}
            body = (text or json.dumps(found)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(folder: Path, url: str, *libraries: str) -> subprocess.CompletedProcess[str]:
    (folder / "installed.txt").write_text("\n".join(libraries))
    options = ("-r", str(folder / "installed.txt"), "--no-deps", "--disable-pip", "--osv-url", url)
    command = [sys.executable, "-m", "dbplanmon_pipeline_tests.audit", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_known_weaknesses_are_named_with_their_fix(tmp_path: Path) -> None:
    with advisories() as url:
        done = audit(tmp_path, url, "bricks==1.4.0", "mortar==2.0.0")
    assert done.returncode == FOUND
    assert done.stdout.splitlines() == [
        "bricks 1.4.0: PYSEC-0000-1, fixed in 1.4.1",
        "2 libraries audited, 1 known weaknesses",
    ]


def test_nothing_known_is_told_with_the_number_of_libraries(tmp_path: Path) -> None:
    with advisories() as url:
        done = audit(tmp_path, url, "mortar==2.0.0")
    assert (done.returncode, done.stdout) == (0, "1 libraries audited, 0 known weaknesses\n")


@pytest.mark.parametrize(("status", "text"), [(500, "{}"), (403, "proxy"), (200, "<html>log in</html>")])
def test_a_source_that_answers_wrongly_is_no_clean_result(tmp_path: Path, status: int, text: str) -> None:
    with advisories(status, text) as url:
        done = audit(tmp_path, url, "mortar==2.0.0")
    assert (done.returncode, done.stdout) == (NOT_AUDITED, "")
    assert done.stderr.startswith("not audited: ")


def test_a_source_that_is_not_reachable_is_no_clean_result(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = audit(tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}/v1/query", "mortar==2.0.0")
    assert (done.returncode, done.stdout) == (NOT_AUDITED, "")
    assert done.stderr.startswith("not audited: ")
    assert "refused" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_list_of_libraries_is_no_clean_result(tmp_path: Path) -> None:
    with advisories() as url:
        assert audit(tmp_path, url).returncode == NOT_AUDITED
