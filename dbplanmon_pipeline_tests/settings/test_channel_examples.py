"""docs/channels.md: each example loads, each type has one, and the shown check of a signature checks ours."""

import re
from pathlib import Path
from typing import get_args

import pytest

from dbplanmon_pipeline.composition.channels import build_channel_list
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.notify.webhook import WebhookChannel
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.settings.channels import ChannelSettings
from dbplanmon_pipeline_tests.notify.test_webhook import ALERT, NOW, http_server

PAGE = (Path(__file__).parents[2] / "docs/channels.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(SNIPPET,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def load(text, folder):
    (folder / "dbplanmon.yaml").write_text(text, encoding="utf-8")
    return load_settings(environ={}, cwd=folder)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_loads_and_makes_a_channel(text, tmp_path):
    (channel,) = build_channel_list(load(text, tmp_path))
    assert channel.name


def test_every_type_has_an_example(tmp_path):
    shown = {channel.type for text in EXAMPLES for channel in load(text, tmp_path).alerts.channels}
    every = {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(ChannelSettings)[0])}
    assert shown == every


def received(alert: Alert, secret: str):
    with http_server() as (port, seen):
        WebhookChannel("dba", lambda: f"http://127.0.0.1:{port}/", secret=lambda: secret, clock=lambda: NOW).send(alert)
    ((_, headers, body),) = seen
    return headers["x-dbplanmon-signature"], body


def test_the_shown_check_accepts_what_we_send_and_nothing_else():
    shown: dict[str, object] = {}
    exec(SNIPPET, shown)
    header, body = received(ALERT, "s3cr3t")
    now = NOW.timestamp()
    assert shown["is_genuine"]("s3cr3t", header, body, now)
    others = [
        ("other", header, body, now),
        ("s3cr3t", header, body + b" ", now),
        ("s3cr3t", header, body, now + 301),
        ("s3cr3t", header.replace("t=", "t=1"), body, now),
        ("s3cr3t", header.partition(",")[0], body, now),
        ("s3cr3t", "", body, now),
        ("s3cr3t", "v1=ü,t=²", body, now),
    ]
    assert not any(shown["is_genuine"](*each) for each in others)
