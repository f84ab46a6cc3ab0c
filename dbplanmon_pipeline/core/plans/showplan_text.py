"""From the text of a SQL Server plan, as files, result grids, sessions of events and logs hold it, to its XML."""

import json
import re
from collections.abc import Iterator
from xml.sax.saxutils import unescape

from dbplanmon_pipeline.errors import PlanParseError

MAX_CHARACTERS = 64 * 1024 * 1024

_NAME = "ShowPlanXML"
_START = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?ShowPlanXML(?=[\s/>])")
_END = re.compile(r"</(?:[A-Za-z_][\w.-]*:)?ShowPlanXML\s*>")
_ESCAPED = "&lt;ShowPlanXML"
_DOUBLED = re.compile(r'[^>]*?=""[^"\s>]')
_IN_JSON = re.compile(r'[^>"]*?=\\"')
_IN_SQL = re.compile(r"'\s*(?:<\?xml[^<>]*\?>\s*)?\Z")
"""In front of a plan that is a string of T-SQL, as in USE PLAN and in plan guides."""

_LONGEST_DECLARATION = 200
_JSON_TEXT = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_QUOTES = {"&quot;": '"', "&apos;": "'", "&#34;": '"', "&#39;": "'"}


def is_showplan(text: str) -> bool:
    """True where the text holds the begin of a showplan, whatever stands before it."""
    return _START.search(text) is not None or _ESCAPED in text


def showplan_documents(text: str) -> list[str]:
    """Each element `ShowPlanXML` of a text; what stands before, between and after them is dropped.

    A batch run with SET STATISTICS XML, or a session of events, gives one for each statement. A cell of a
    spreadsheet has its quotes doubled, a value in JSON or in another XML document is escaped.

    Raises:
        PlanParseError: there is none, there is a document type, or the text is too long; one line.
    """
    if len(text) > MAX_CHARACTERS:
        raise PlanParseError(f"no readable showplan: it has more than {MAX_CHARACTERS:,} characters")
    # One character is looked for much faster than several, and plans hardly ever have this one.
    if "!" in text and "<!DOCTYPE" in text:
        raise PlanParseError("no readable showplan: it has a document type, which no plan of SQL Server has")
    found = list(_documents(_unquoted(text)))
    if not found:
        raise PlanParseError(_complaint(text))
    return found


def _documents(text: str) -> Iterator[str]:
    position = 0
    while start := _START.search(text, position):
        position = _end_of(text, start.end())
        yield text[start.start() : position]


def _end_of(text: str, position: int) -> int:
    """Where the element that begins before `position` ends; the end of the text where it is cut off.

    A fixed text is looked for much faster than a pattern.
    """
    while (place := text.find(_NAME, position)) >= 0:
        tag = text.rfind("<", position, place)
        end = _END.match(text, tag) if tag >= 0 else None
        if end:
            return end.end()
        position = place + len(_NAME)
    return len(text)


def _unquoted(text: str) -> str:
    """The text without the quoting of what it was taken from; decided by the first tag, where attributes are."""
    start = _START.search(text)
    if start is None:
        return unescape(text, _QUOTES) if _ESCAPED in text else text
    if _DOUBLED.match(text, start.end()):
        return text.replace('""', '"')
    if _IN_JSON.match(text, start.end()):
        return _json_text(text, start.start())
    if _IN_SQL.search(text, max(0, start.start() - _LONGEST_DECLARATION), start.start()):
        return text.replace("''", "'")
    return text


def _json_text(text: str, start: int) -> str:
    """The rest of the JSON string in which a plan begins; the text as it is where it is none."""
    inner = _JSON_TEXT.match(text, start)
    try:
        return str(json.loads(f'"{inner.group()}"', strict=False)) if inner else text
    except ValueError:
        return text


def _complaint(text: str) -> str:
    if not text.strip("\ufeff \t\r\n"):
        return "no execution plan: the text is empty"
    if "<Node-Type>" in text:
        return "no readable execution plan: this is EXPLAIN in XML form; use EXPLAIN (FORMAT JSON)"
    if "<?query" in text or "<?ClickMe" in text:
        return "no showplan: this is the text of a statement; save its plan as .sqlplan"
    return "no showplan: the text has no element ShowPlanXML; save the plan as .sqlplan"
