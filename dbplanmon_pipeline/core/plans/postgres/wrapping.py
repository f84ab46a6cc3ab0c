"""EXPLAIN as terminals, web pages and collectors of logs wrap it, brought back to what the server wrote."""

import html
import json
import re
from collections.abc import Callable, Iterator

from dbplanmon_pipeline.errors import PlanParseError

_HEADING = "QUERY PLAN"
_PLAN_IN_LOG = re.compile(r"\bplan:\\n")
_SYSLOG = re.compile(r"^\w.{0,100}?\bpostgres(?:ql)?\[\d+\]: (?:\[\d+-\d+\] )?", re.MULTILINE)
_CONTAINER = re.compile(r"[\w.-]+ +\| ")
_MARKUP = re.compile(r"\s*<(?!explain\b|\?xml\b)", re.IGNORECASE)
_LINE_ENDS = re.compile(r"<br\s*/?>\n?|</(?:td|th|tr|p|div|li|pre)>", re.IGNORECASE)
_TAG = re.compile(r"(?<![ \t])[ \t]*<td[^<>]*>|<[^<>]*>", re.IGNORECASE)
_RECORD = re.compile(r"^[^\w\n]?[-─═*][^\w\n]*RECORD \d+\b.*\n?", re.MULTILINE | re.IGNORECASE)
_FIELD = re.compile(rf"^(?P<border>[|│║] ?)?(?:{_HEADING}| {{{len(_HEADING)}}}) ?[|│║] ?", re.MULTILINE)
_WRAPPED = re.compile(r"[.…]\n[.…]")


def unwrapped(text: str) -> str:
    """The text without marks of HTML, rows of JSON, records of `psql -x`, and what logs put before each line.

    Frames that leave lines as they are, such as borders and quotes, stay: readers of each form know them.

    Raises:
        PlanParseError: it is LaTeX, or rows in JSON are nested too deeply.
    """
    if "\\begin{" in text and _HEADING in text:
        raise PlanParseError("no readable execution plan: this is LaTeX; print it with `\\pset format aligned`")
    for is_wrapped, read in _WRAPPINGS:
        if is_wrapped(text):
            text = read(text)
    return text


def _is_page(text: str) -> bool:
    return _MARKUP.match(text) is not None and "<ShowPlanXML" not in text


def _of_page(text: str) -> str:
    return html.unescape(_TAG.sub("", _LINE_ENDS.sub("\n", text))).replace("\u00a0", " ")


def _of_rows(text: str) -> str:
    """What stands under `QUERY PLAN` in rows that a tool saved as JSON: a line each, or a whole document."""
    try:
        begin = re.search(r"[\[{]", text)
        rows, _ = json.JSONDecoder().raw_decode(text, begin.start()) if begin else (None, 0)
        cells = list(_cells(rows))
    except RecursionError:
        raise PlanParseError("no readable execution plan: it is nested too deeply") from None
    except ValueError:
        return text
    return "\n".join(cell if isinstance(cell, str) else json.dumps(cell) for cell in cells) or text


def _cells(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for part in value:
            yield from _cells(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            if str(name).upper() == _HEADING:
                yield part
            else:
                yield from _cells(part)


def _of_log(text: str) -> str:
    """Messages of auto_explain in a log with one JSON object a line, wherever in it the message stands."""
    messages = [message for line in text.splitlines() if _PLAN_IN_LOG.search(line) for message in _messages(line)]
    return "\n".join(messages) or text


def _messages(line: str) -> Iterator[str]:
    begin = line.find("{")
    try:
        waiting = [json.JSONDecoder().raw_decode(line, begin)[0]] if begin >= 0 else []
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and "plan:\n" in value:
            yield value
        elif isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)


def _is_of_container(text: str) -> bool:
    prefix = _CONTAINER.match(text)
    return prefix is not None and all(line.startswith(prefix[0].rstrip()) for line in text.splitlines() if line)


def _of_container(text: str) -> str:
    prefix = _CONTAINER.match(text)
    width = prefix.end() if prefix else 0
    return "\n".join(line[width:] for line in text.splitlines())


_WRAPPINGS: tuple[tuple[Callable[[str], bool], Callable[[str], str]], ...] = (
    (_is_page, _of_page),
    (lambda text: f'"{_HEADING}"' in text.upper() and "{" in text, _of_rows),
    (lambda text: _PLAN_IN_LOG.search(text) is not None, _of_log),
    (lambda text: _SYSLOG.search(text) is not None, lambda text: _SYSLOG.sub("", text).replace("#011", "\t")),
    (_is_of_container, _of_container),
    (lambda text: _FIELD.search(text) is not None, lambda text: _FIELD.sub(r"\g<border>", _RECORD.sub("", text))),
    (lambda text: _HEADING in text and _WRAPPED.search(text) is not None, lambda text: _WRAPPED.sub("", text)),
)
