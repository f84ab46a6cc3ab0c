"""Alerts in Microsoft Teams, as an Adaptive Card through the webhook of a workflow."""

import json

from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.notify.incoming_webhook import IncomingWebhook
from dbplanmon_pipeline.notify.message import Tone, message_of

MAX_BODY_BYTES = 24 * 1024
"""Teams refuses messages above 28 KB."""

_LINES = 60
_CHARACTERS = 2_000
_COLORS = {Tone.GOOD: "Good", Tone.CALM: "Default", Tone.WARNING: "Warning", Tone.DANGER: "Attention"}


class TeamsChannel(IncomingWebhook):
    """POSTs each alert as an Adaptive Card."""

    def body(self, alert: Alert) -> bytes:
        """An Adaptive Card."""
        return teams_body(alert)


def teams_body(alert: Alert) -> bytes:
    """The card as JSON, with as many lines of the text as Teams takes."""
    lines = _LINES
    body = json.dumps(teams_document(alert, lines)).encode("ascii")
    while len(body) > MAX_BODY_BYTES and lines:
        lines //= 2
        body = json.dumps(teams_document(alert, lines)).encode("ascii")
    return body


def teams_document(alert: Alert, lines: int) -> dict[str, object]:
    """The alert as a message with one card.

    Foreign text stands in rich text blocks only: those know no Markdown, so nothing in it becomes a link or a picture.
    """
    message = message_of(alert)
    title = _text(message.title, size="Large", weight="Bolder", color=_COLORS[message.tone])
    parts: list[dict[str, object]] = [_block([title])]
    if message.headline:
        parts.append(_block([_text(message.headline)]))
    parts += [_block([_text(f"{name}: ", weight="Bolder"), _text(value)], "None") for name, value in message.fields]
    for number, line in enumerate(message.lines[:lines]):
        parts.append(_block([_text(line or " ", fontType="Monospace", size="Small")], "None" if number else "Medium"))
    card: dict[str, object] = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "fallbackText": message.title[:_CHARACTERS],
        "msteams": {"width": "Full"},
        "body": parts,
    }
    if message.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _block(runs: list[dict[str, object]], spacing: str = "Default") -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": runs, "spacing": spacing}


def _text(text: str, **look: str) -> dict[str, object]:
    return {"type": "TextRun", "text": text[:_CHARACTERS], **look}
