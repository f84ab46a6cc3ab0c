from pathlib import Path

import pytest

from dbplanmon_pipeline_tests.settings.support import complaints, load


def _cases():
    """Blocks of `# claim`, the file as written, `=> complaint` without its place."""
    blocks = Path(__file__).with_name("mistakes.txt").read_text("utf-8").strip().split("\n\n")
    for block in blocks:
        claim, rest = block.removeprefix("# ").split("\n", 1)
        text, expected = rest.split("\n=> ")
        yield pytest.param(text, expected, id=claim)


@pytest.mark.parametrize(("text", "expected"), list(_cases()))
def test_a_mistake_is_one_line_with_place_key_and_remedy(tmp_path, text, expected):
    assert complaints(tmp_path, text) == [f"dbplanmon.yaml:1: {expected}"]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path):
    lines = complaints(
        tmp_path,
        """\
        collection:
          top_n: 0
          topn: 5
        analysis: {detector: statistic}
        analysis: {delay: 1s}
        instances:
          - name: a
            engine: postgres
            login: {user: u, password: hunter2}
          - name: a
            engine: simulated
            databases:
              - x
              - {name: y, collection: {top_n: 0}}
        resilience:
          backoff: 1h
        """,
    )

    assert [line.split(": ")[:2] for line in lines] == [
        ["dbplanmon.yaml:2", "collection.top_n"],
        ["dbplanmon.yaml:3", "collection.topn"],
        ["dbplanmon.yaml:4", "analysis.detector"],
        ["dbplanmon.yaml:5", "analysis"],
        ["dbplanmon.yaml:7", "instances[0].server"],
        ["dbplanmon.yaml:9", "instances[0].login.password"],
        ["dbplanmon.yaml:10", "instances[1].name"],
        ["dbplanmon.yaml:14", "instances[1].databases[1].collection.top_n"],
        ["dbplanmon.yaml:16", "resilience.backoff"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "collection:\nanalysis:\n",
        "instances: [{name: NO, engine: postgres, server: h, databases: [no, on, 0123, 2024-01-01, 1e5x]}]",
        "instances: [{name: a, engine: postgres, server: /var/run/postgresql}]",
        "instances: [{name: a, engine: sqlserver, server: 'h\\EXPRESS', login: {integrated: yes}, encrypt: no}]",
        "instances: [{name: a, engine: sqlserver, server: h, login: {authentication: ActiveDirectoryMsi}}]",
        "instances: [{name: a, engine: sqlserver, server: 'tcp:[::1],1433', port: 1433, login: {integrated: on}}]",
        "instances: [{name: a, engine: sqlserver, server: h, login: {integrated: on}, encrypt: strict, "  # noqa: ISC004
        "server_certificate: /c.pem, host_name_in_certificate: x, multi_subnet_failover: yes}]",
        "alerts: {channels: [{type: log}, {type: log, name: second}, {type: webhook, url: https://h.example/x}]}",
    ],
    ids=[
        "empty sections",
        "words that are no switches",
        "socket",
        "named instance",
        "managed identity",
        "address with port",
        "strict",
        "channels",
    ],
)
def test_what_is_right_loads(tmp_path, text):
    load(tmp_path, text)
