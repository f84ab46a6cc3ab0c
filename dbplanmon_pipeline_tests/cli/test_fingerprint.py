import json

import pytest

STATEMENTS = ["SELECT * FROM [dbo].[T] WHERE a IN (1, 2)", "select * from dbo.t where a in (3) -- it's"]


def lines_of(tmp_path, *lines: bytes) -> str:
    path = tmp_path / "statements.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return str(path)


def encoded(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def test_each_line_gets_its_fingerprint_and_the_same_statement_the_same(cli, tmp_path):
    done = cli("fingerprint", "--dialect", "tsql", lines_of(tmp_path, *map(encoded, STATEMENTS)))
    first, second = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 0
    assert first == second == {"fingerprint": "ab32b67846b38542", "text": "select * from dbo.t where a in (?)"}


def test_the_dialect_decides_how_a_text_is_read(cli, tmp_path):
    path = lines_of(tmp_path, encoded('select "A" from t'))
    told = {name: json.loads(cli("fingerprint", "--dialect", name, path).stdout) for name in ("tsql", "postgres")}
    assert [told["tsql"]["text"], told["postgres"]["text"]] == ["select ? from t", 'select "A" from t']


def test_separators_within_a_statement_end_no_line(cli, tmp_path):
    path = lines_of(tmp_path, b"\xef\xbb\xbf" + encoded("select\u2028 a\u0085"), encoded("select b") + b"\r")
    assert len(cli("fingerprint", "--dialect", "postgres", path, "--json").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"select secret", 'no JSON; write each statement as a JSON string, such as "select 1"'),
        (b"", 'no JSON; write each statement as a JSON string, such as "select 1"'),
        (b"[" * 100_000, 'no JSON; write each statement as a JSON string, such as "select 1"'),
        (b'{"sql": "secret"}', 'an object where a JSON string is expected, such as "select 1"'),
        (b"null", 'null where a JSON string is expected, such as "select 1"'),
        (b'"secret \xff"', "not UTF-8; encode the file as UTF-8"),
    ],
    ids=["text", "empty", "deep", "object", "null", "latin"],
)
def test_a_bad_line_is_told_by_its_number_alone(cli, tmp_path, line, complaint):
    path = lines_of(tmp_path, encoded("select a"), line, encoded("select b"))
    done = cli("fingerprint", "--dialect", "tsql", path)
    assert done.exit_code == 1
    assert done.stderr == f"dbplanmon: {path}, line 2: {complaint}\n"
    assert [json.loads(one)["text"] for one in done.stdout.splitlines()] == ["select a"]


def test_a_file_that_is_not_there_is_told(cli, tmp_path):
    done = cli("fingerprint", "--dialect", "tsql", str(tmp_path / "none"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"dbplanmon: {tmp_path / 'none'} cannot be read: No such file or directory\n"


def test_the_dialect_must_be_said(cli):
    done = cli("fingerprint")
    assert done.exit_code == 2
    assert "Missing option '--dialect'" in done.stderr
