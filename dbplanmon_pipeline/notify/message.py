"""An alert of any kind in the parts a chat, a pager or a mail is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dbplanmon_pipeline.core.alerts.delivery_policy import ENDING_EVENTS, AlertKind, kind_of
from dbplanmon_pipeline.core.plain_words import lines_of, one_line
from dbplanmon_pipeline.core.ports import Alert

_FOR_MAIL_ONLY = frozenset({"html", "pictures"})
_LINK_SCHEMES = ("https://", "http://")
_FACT_LIMIT = 200
_HEADLINE_LIMIT = 600


class Tone(StrEnum):
    """How a message looks."""

    GOOD = "good"
    CALM = "calm"
    WARNING = "warning"
    DANGER = "danger"


_TONES = {"low": Tone.CALM, "medium": Tone.WARNING, "high": Tone.DANGER, "critical": Tone.DANGER}


@dataclass(frozen=True, slots=True)
class Message:
    """Attributes: all harmless, none bounded in number but by their channel.

    title: one line.
    headline: the first paragraph as one line.
    lines: of the rest of the text; columns are aligned by blanks.
    fields: names and values that tell where it is and how bad.
    link: to the page of the incident, empty where there is none.
    """

    kind: AlertKind
    tone: Tone
    title: str
    headline: str
    lines: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    link: str


def message_of(alert: Alert) -> Message:
    """Take an alert apart."""
    kind = kind_of(alert.incident_id)
    lines = lines_of(alert.body)
    gap = next((number for number, line in enumerate(lines) if not line), len(lines))
    return Message(
        kind=kind,
        tone=_tone(alert, kind),
        title=one_line(alert.subject) or "dbplanmon",
        headline=one_line(" ".join(lines[:gap]), _HEADLINE_LIMIT),
        lines=tuple(lines[gap + 1 :]),
        fields=tuple(_fields(alert, kind)),
        link=_link(alert),
    )


def machine_facts(alert: Alert) -> dict[str, object]:
    """The facts without what only a mail can show."""
    return {name: value for name, value in alert.facts.items() if name not in _FOR_MAIL_ONLY}


def _tone(alert: Alert, kind: AlertKind) -> Tone:
    if alert.event in ENDING_EVENTS:
        return Tone.GOOD
    return Tone.CALM if kind is AlertKind.SUMMARY else _TONES.get(alert.severity, Tone.WARNING)


def _fields(alert: Alert, kind: AlertKind) -> Iterator[tuple[str, str]]:
    named = (("Instance", "instance"), ("Database", "database"), ("Statement", "query_hash"), ("Kind", "label"))
    for title, name in named:
        value = alert.facts.get(name)
        if isinstance(value, str) and value:
            yield title, one_line(value.replace("_", " ") if name == "label" else value, _FACT_LIMIT)
    if kind is not AlertKind.SUMMARY:
        yield "Severity", one_line(alert.severity, _FACT_LIMIT)
        yield "Event", one_line(alert.event.replace("_", " "), _FACT_LIMIT)


def _link(alert: Alert) -> str:
    link = alert.facts.get("link")
    text = one_line(link) if isinstance(link, str) else ""
    return text if text.startswith(_LINK_SCHEMES) and len(text) <= 2_000 and " " not in text else ""
