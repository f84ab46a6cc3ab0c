"""Alerts in Slack, through an incoming webhook."""

import json
from collections.abc import Sequence

from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.notify.incoming_webhook import IncomingWebhook
from dbplanmon_pipeline.notify.message import Message, Tone, message_of

HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3_000
FIELDS = 10
_CODE_CHARACTERS = 2_800
_MARKS = {Tone.GOOD: "✅", Tone.CALM: "ℹ️", Tone.WARNING: "⚠️", Tone.DANGER: "🔴"}


class SlackChannel(IncomingWebhook):
    """POSTs each alert as Block Kit."""

    def body(self, alert: Alert) -> bytes:
        """Block Kit."""
        return json.dumps(slack_document(alert)).encode("ascii")


def slack_document(alert: Alert) -> dict[str, object]:
    """The alert as a message of Slack, every part within the limits Slack sets."""
    message = message_of(alert)
    title = f"{_MARKS[message.tone]} {message.title}"
    blocks: list[dict[str, object]] = [{"type": "header", "text": _plain(title, HEADER_CHARACTERS)}]
    if message.headline:
        blocks.append({"type": "section", "text": _marked(_escaped(message.headline)[:SECTION_CHARACTERS])})
    if message.fields:
        fields = [_marked(f"*{_escaped(name)}*\n{_escaped(value)}") for name, value in message.fields[:FIELDS]]
        blocks.append({"type": "section", "fields": fields})
    blocks += [{"type": "section", "text": _marked(f"```\n{text}\n```")} for text in [_code(message.lines)] if text]
    blocks += _buttons(message)
    blocks.append({"type": "context", "elements": [_plain(f"{alert.incident_id} · {alert.alert_id}", 300)]})
    return {"text": _escaped(title)[:SECTION_CHARACTERS], "blocks": blocks}


def _code(lines: Sequence[str]) -> str:
    """As many whole lines as fit; an accent of our own may not end the block early."""
    kept: list[str] = []
    room = _CODE_CHARACTERS
    for line in lines:
        text = _escaped(line.replace("```", "'''"))
        room -= len(text) + 1
        if room < 0:
            return "\n".join([*kept, "…"])
        kept.append(text)
    return "\n".join(kept)


def _buttons(message: Message) -> list[dict[str, object]]:
    if not message.link:
        return []
    button = {"type": "button", "text": _plain("Open", 75), "url": message.link}
    return [{"type": "actions", "elements": [button]}]


def _plain(text: str, limit: int) -> dict[str, object]:
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return {"type": "plain_text", "text": short, "emoji": True}


def _marked(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
