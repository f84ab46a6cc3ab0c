"""Logging of the command line and the daemon: JSON for machines, short lines for people, no password in either."""

import json
import logging
import math
import re
import sys
import traceback
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, TextIO

from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.errors import SettingsError

MASK = "***"
JOBS_LOGGER = "dbplanmon_pipeline.jobs"
"""Name of the logger that tells of jobs and targets."""

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_FIRST = ("event", "run_id", "instance", "database", "duration_ms")
_OURS = "_dbplanmon_handler"

_WORDS = (
    r"password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key|account[_-]?key"
    r"|private[_-]?key|signature|sig|authorization|credentials?"
)
_SECRET_NAME = re.compile(rf"(?:^|[^a-z])(?:\w*(?:password|passwd|pwd|secret|token)|{_WORDS})$", re.IGNORECASE)
# Bounded, so that hostile text costs no more than linear time.
_QUOTED = r"'(?:[^'\\]|\\.|''){0,300}'|\"(?:[^\"\\]|\\.|\"\"){0,300}\"|\{(?:[^}]|\}\}){0,300}\}"
_WORD = re.compile(r"\S+")
# What `services/grant_access.py` makes, and pieces of it.
_OWN_TOKEN = re.compile(r"(dbpm_)[0-9a-f]{8,}", re.IGNORECASE)
_SCHEME = re.compile(r"\b(bearer|basic)\s+[\w+/.~=-]{4,}", re.IGNORECASE)
# `password=x`, `"pwd": "x"`, `PWD={x};`, `password='x'`, `PASSWORD 'x'`; a value with blanks where a semicolon ends it.
_PAIR = re.compile(
    rf"((?:{_WORDS})[\"']?\s*(?:[=:]|:=|=>)\s*|(?:password|identified\s+by)\s+(?='))"
    rf"(?:{_QUOTED}|[^\s;=]*(?:[ ][^;=\n]{{0,200}})?(?=;)|[^\s;]+)",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    """The text with every password, token and key it shows replaced by `***`; rather one too many than one too few."""
    text = _OWN_TOKEN.sub(rf"\1{MASK}", _SCHEME.sub(rf"\1 {MASK}", text))
    if "://" in text:
        text = _WORD.sub(lambda word: _without_password(word[0]), text)
    return _PAIR.sub(rf"\g<1>{MASK}", text)


def _without_password(word: str) -> str:
    """Mask from the colon after the user to the last @ of the word: people forget to encode one in a password."""
    end = word.rfind("@")
    start = word.find("://")
    while 0 <= start < end:
        colon = word.find(":", start + 3)
        if 0 <= colon < end and not set(word[start + 3 : colon]) & set("/@?#"):
            return f"{word[: colon + 1]}{MASK}{word[end:]}"
        start = word.find("://", start + 3)
    return word


def places_of(error: BaseException) -> list[str]:
    """Where an unexpected error came from, innermost last: `file:line function`, causes first, none of its words.

    Words of drivers and libraries may hold a literal or a secret.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    frames = [
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return [*(places_of(cause) if cause else []), *frames, type(error).__name__]


class ScrubbingFilter(logging.Filter):
    """Masks secrets in a record before anything is written: message, exception, stack and extra fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record in place, so that other handlers get the masked one too; lets every record pass."""
        record.msg, record.args = scrub(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = scrub(record.exc_text)
        if record.stack_info:
            record.stack_info = scrub(record.stack_info)
        for name, value in _extras(record).items():
            setattr(record, name, _scrubbed(name, value))
        return True


class JsonLines(logging.Formatter):
    """One JSON object per record: `ts`, `level`, `logger`, `event`, `message`, then every extra field."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        extras = _extras(record)
        line: dict[str, Any] = {
            "ts": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": extras.pop("event", "log"),
            "message": record.getMessage(),
        }
        line.update({name: extras.pop(name) for name in _FIRST if name in extras})
        line.update(extras)
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=lambda value: scrub(str(value)), ensure_ascii=True)


class HumanLines(logging.Formatter):
    """Time, level, message and the plain fields; an exception follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        extras = _extras(record)
        names = [name for name in _FIRST if name in extras] + [name for name in extras if name not in _FIRST]
        plain = [f"{name}={one_line(str(extras[name]))}" for name in names if _is_plain(extras[name])]
        head = f"{_moment(record):%Y-%m-%d %H:%M:%S}Z {record.levelname:<7} {one_line(record.getMessage())}"
        parts = [f"{head}  [{' '.join(plain)}]" if plain else head]
        return "\n".join([*parts, *(text for text in (record.exc_text, record.stack_info) if text)])


def configure_logging(*, json: bool, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all records of the process to one stream, scrubbed; calling it again replaces the earlier set-up.

    Args:
        json: JSON lines; else lines for people.
        level: name of the least level that is written, any case.
        stream: standard error by default.

    Raises:
        SettingsError: there is no such level.
    """
    name = _level(level)
    handler = _handler(stream or sys.stderr, json=json)
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if getattr(each, _OURS, False)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(name)
    # At INFO they write whole URLs, whose path may be a secret that no pattern can tell; or twenty lines on a schema.
    for chatty in ("httpx", "httpcore", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def configure_package_logging(*, json: bool, level: str) -> None:
    """Send the records of this package to standard error where the program that runs us logs nothing by itself.

    Dagster's processes have handlers for Dagster's own records only, so ours would be lost. A program that has set up
    its logging gets ours through it.

    Raises:
        SettingsError: there is no such level.
    """
    if logging.getLogger().handlers:
        return
    handler = _handler(sys.stderr, json=json)
    package = logging.getLogger(__name__.partition(".")[0])
    package.handlers[:] = [handler]
    package.setLevel(_level(level))


def _handler(stream: TextIO, *, json: bool) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.addFilter(ScrubbingFilter())
    handler.setFormatter(JsonLines() if json else HumanLines())
    setattr(handler, _OURS, True)
    return handler


def _level(level: str) -> str:
    name = level.strip().upper()
    if name not in _LEVELS:
        raise SettingsError(f"log level {level!r} is unknown; choose one of {', '.join(_LEVELS)}")
    return name


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} (its arguments do not fit)"


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, tz=UTC)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and name != "taskName"}


def _is_plain(value: object) -> bool:
    return value is not None and value != "" and isinstance(value, str | int | float | bool)


def _scrubbed(name: str, value: object) -> object:
    if isinstance(value, str):
        return MASK if value and _SECRET_NAME.search(name) else scrub(value)
    if isinstance(value, dict):
        return {str(key): _scrubbed(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(name, item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
