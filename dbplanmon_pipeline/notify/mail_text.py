"""The message of a mail: text, HTML with the same words, pictures inside, and headers nobody can slip into."""

import base64
import binascii
import email.utils
import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.notify.message import Message, Tone, message_of

MAX_PICTURE_BYTES = 5 * 1024 * 1024
MAX_TEXT_CHARACTERS = 200_000
_CONTENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PNG = b"\x89PNG\r\n\x1a\n"
_SUBJECT_CHARACTERS = 200
_COLORS = {Tone.GOOD: "#1a7f37", Tone.CALM: "#57606a", Tone.WARNING: "#9a6700", Tone.DANGER: "#cf222e"}


def mail_of(alert: Alert, sender: Address, to: Sequence[Address], cc: Sequence[Address] = ()) -> EmailMessage:
    """The alert as a mail; its Message-ID is the idempotency key, so that a mailbox shows a repetition once."""
    message, domain = message_of(alert), sender.domain
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = message.title[:_SUBJECT_CHARACTERS]
    mail["From"] = sender
    mail["To"] = tuple(to)
    if cc:
        mail["Cc"] = tuple(cc)
    mail["Date"] = email.utils.format_datetime(alert.created_at)
    mail["Message-ID"] = f"<{_token(alert.alert_id)}@{domain}>"
    mail["References"] = f"<incident.{_token(alert.incident_id)}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["Importance"] = "high" if message.tone is Tone.DANGER else "normal"
    mail.set_content(_plain_text(alert, message))
    mail.add_alternative(_html(alert, message), subtype="html")
    _add_pictures(mail, alert.facts.get("pictures"))
    return mail


def _token(text: str) -> str:
    """The text itself where it may stand in a Message-ID, else a hash of it."""
    return text if _CONTENT_ID.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain_text(alert: Alert, message: Message) -> str:
    if message.headline or message.lines:
        return "\n".join([message.headline, "", *message.lines])[:MAX_TEXT_CHARACTERS] + "\n"
    return f"{message.title}\n\n{alert.event} {alert.incident_id}\n"


def _html(alert: Alert, message: Message) -> str:
    """The page a summary brings along, else one made of the text."""
    given = alert.facts.get("html")
    if isinstance(given, str) and given:
        return given[: 10 * MAX_TEXT_CHARACTERS]
    text = html.escape("\n".join(message.lines))[:MAX_TEXT_CHARACTERS]
    link = html.escape(message.link, quote=True)
    button = f'<p><a href="{link}">Open the incident</a></p>' if link else ""
    edge = f"border-left:6px solid {_COLORS[message.tone]};padding-left:10px"
    return (
        "<!DOCTYPE html>\n"
        '<html><head><meta charset="utf-8"></head>'
        '<body style="font-family:sans-serif;color:#1f2328;max-width:60em">\n'
        f'<h2 style="{edge}">{html.escape(message.title)}</h2>\n'
        f"<p>{html.escape(message.headline)}</p>\n{button}\n"
        f'<pre style="white-space:pre-wrap;font-size:13px">{text}</pre>\n</body></html>\n'
    )


def _add_pictures(mail: EmailMessage, pictures: object) -> None:
    page = mail.get_body(("html",))
    room = MAX_PICTURE_BYTES
    for name, picture in _pngs(pictures):
        room -= len(picture)
        if room >= 0 and isinstance(page, EmailMessage):
            page.add_related(picture, "image", "png", cid=f"<{name}>", disposition="inline", filename=f"{name}.png")


def _pngs(pictures: object) -> Iterator[tuple[str, bytes]]:
    for name, text in pictures.items() if isinstance(pictures, Mapping) else ():
        try:
            picture = base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError):
            continue
        if _CONTENT_ID.fullmatch(str(name)) and picture.startswith(_PNG):
            yield str(name), picture
