import pytest

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline_tests.settings.support import complaints, load

BROKEN = {
    "empty file": (b"", "dbplanmon.yaml: is empty; `dbplanmon init` writes an example"),
    "comments only": (b"# nothing\n", "dbplanmon.yaml: is empty; `dbplanmon init` writes an example"),
    "byte order mark": (
        b"\xef\xbb\xbfenvironment: test\n",
        "dbplanmon.yaml:1: begins with a byte order mark; save it as UTF-8 without one",
    ),
    "UTF-16": (
        "environment: test\n".encode("utf-16"),
        "dbplanmon.yaml:1: is not UTF-8 (it looks like UTF-16 or UTF-32); save it as UTF-8",
    ),
    "Latin-1": (
        "environment: test\n# größer\n".encode("latin-1"),
        "dbplanmon.yaml:2: is not UTF-8; save it as UTF-8",
    ),
    "control character": (b"a: 1\nb: \x01\n", "dbplanmon.yaml:2: holds a control character; remove it"),
    "tab": (
        b"collection:\n\ttop_n: 1\n",
        "dbplanmon.yaml:2: a tab indents this line; YAML takes spaces only",
    ),
    "list at the top": (
        b"- environment: test\n",
        "dbplanmon.yaml:1: expected a mapping of sections at the top, such as `environment: development`",
    ),
    "text at the top": (
        b"\nproduction\n",
        "dbplanmon.yaml:2: expected a mapping of sections at the top, such as `environment: development`",
    ),
    "two documents": (b"a: 1\n---\nb: 1\n", "dbplanmon.yaml:2: begins a second document; one file holds one"),
    "alias without anchor": (
        b"a: *hunter2\n",
        "dbplanmon.yaml:1: an alias (*) names no anchor before it; quote texts that begin with *",
    ),
    "alias to itself": (
        b"a: &x [*x]\n",
        "dbplanmon.yaml:1: an alias (*) names no anchor before it; quote texts that begin with *",
    ),
    "mapping as a key": (b"{a: 1}: 2\n", "dbplanmon.yaml:1: a key is a mapping, a list or an alias; expected text"),
    "merge of a text": (b"collection: {<<: fast}\n", "dbplanmon.yaml:1: << takes mappings only"),
    "nesting": (b"[" * 1000, "dbplanmon.yaml:1: is nested more than 40 levels deep"),
}


@pytest.mark.parametrize(("content", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path, content, expected):
    (tmp_path / "dbplanmon.yaml").write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        load_settings(environ={}, cwd=tmp_path)

    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "text",
    ["a: [1\nb: 2\n", "a: 'x\nb: 2", "a: b: c", "a: @hunter2", 'a: "\\q"', "%hunter2 x\n---\na: 1", "a: 1\n  b: 2"],
)
def test_a_syntax_error_names_its_line_and_no_content(tmp_path, text):
    (line,) = complaints(tmp_path, text)

    assert line.startswith("dbplanmon.yaml:")
    assert "is no YAML: " in line
    assert "hunter2" not in line


def test_every_broken_file_is_named(tmp_path):
    (tmp_path / "dbplanmon.test.yaml").write_text("[")
    lines = complaints(tmp_path, "]", {"DBPLANMON_ENVIRONMENT": "test"})

    assert [line.split(":")[0] for line in lines] == ["dbplanmon.yaml", "dbplanmon.test.yaml"]


def test_a_tag_is_refused_and_the_rest_is_still_checked(tmp_path):
    assert complaints(tmp_path, "collection:\n  top_n: !hunter2 5\n  shards: 0\n") == [
        "dbplanmon.yaml:2: a tag (!) has no meaning here; remove it, or quote a text that begins with !",
        "dbplanmon.yaml:3: collection.shards: 0 is not right; expected a whole number, from 1 to 1000",
    ]


def test_a_repeated_key_in_any_depth_names_both_lines(tmp_path):
    assert complaints(tmp_path, "collection:\n  top_n: 1\n  top_n: 2\n") == [
        "dbplanmon.yaml:3: top_n: repeats the key of line 2; remove one"
    ]


def test_aliases_that_multiply_end_the_loading(tmp_path):
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    (line,) = complaints(tmp_path, "\n".join(lines))

    assert line.endswith("grows beyond all bounds through its aliases")


def test_anchors_and_merge_keys_share_what_instances_have_in_common(tmp_path):
    settings = load(
        tmp_path,
        """
        instances:
          - &first {name: a, engine: postgres, server: h, port: 1, labels: {team: x}}
          - {<<: *first, name: b, port: 2}
        """,
    )

    assert [(one.name, one.port, one.labels) for one in settings.instances] == [
        ("a", 1, {"team": "x"}),
        ("b", 2, {"team": "x"}),
    ]


def test_plain_words_and_times_stay_text(tmp_path):
    settings = load(
        tmp_path,
        """
        summary: {time: 10:30}
        instances: [{name: "NO", engine: postgres, server: h, databases: [no, on, 0123, 2024-01-01, 'null', 12:30:45]}]
        """,
    )

    assert settings.summary.time.hour == 10
    assert settings.instances[0].databases.names == ("no", "on", "0123", "2024-01-01", "null", "12:30:45")
