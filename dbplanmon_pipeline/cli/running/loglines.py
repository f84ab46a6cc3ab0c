"""From what a child process prints to lines a person can read."""

import json
import logging
import re

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]")
_COLOURED = re.compile(r"^[\d-]+ [\d:]+ \+\d{4} - (?P<logger>\S+) - (?P<level>[A-Z]+) - (?P<message>.*)$")
_ECHO = re.compile(r"^[A-Z]+:dagster[\w.]*:")
"""dagster-postgres sets up a second handler when its server goes away; from then on Dagster says everything twice."""

_LEVELS = logging.getLevelNamesMapping()


def read_line(raw: bytes) -> tuple[int, str] | None:
    """Level and message, JSON log records unpacked and control characters gone; None for an empty line or an echo."""
    text = _ESCAPES.sub("", raw.decode("utf-8", "replace"))
    text = "".join(character if character.isprintable() else " " for character in text).rstrip()
    if not text or _ECHO.match(text):
        return None
    if text.startswith("{"):
        return _from_json(text) or (logging.INFO, text)
    if match := _COLOURED.match(text):
        return _LEVELS.get(match["level"], logging.INFO), match["message"]
    return logging.INFO, text


def _from_json(text: str) -> tuple[int, str] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        return None
    level = _LEVELS.get(str(record.get("level", "info")).upper(), logging.INFO)
    message = record.get("message")
    return level, " ".join((message if isinstance(message, str) and message else record["event"]).split())
