"""From the text of a SQL Server plan, as files, result grids, sessions of events and logs hold it, to its XML."""

import json
import re
from collections.abc import Iterator
from html import unescape

from dbplanmon_pipeline.errors import PlanParseError

MAX_CHARACTERS = 64 * 1024 * 1024

_NAME = "ShowPlanXML"
_START = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?ShowPlanXML(?=[\s/>])")
_END = re.compile(r"</(?:[A-Za-z_][\w.-]*:)?ShowPlanXML\s*>")
_ESCAPED = re.compile(r"&(?:amp;)*(?:lt|#0*60|#[xX]0*3[cC]);(?:[A-Za-z_][\w.-]*:)?ShowPlanXML\b")
_JSON_ESCAPED = re.compile(r"\\u003[cC](?:[A-Za-z_][\w.-]*:)?ShowPlanXML\b")
_MOST_ESCAPES = 3
_DOUBLED = re.compile(r'[^>]*?=""[^"\s>]')
_IN_JSON = re.compile(r'[^>"]*?=\\"')
_IN_SQL = re.compile(r"'\s*(?:<\?xml[^<>]*\?>\s*)?\Z")
"""In front of a plan that is a string of T-SQL, as in USE PLAN and in plan guides."""

_LONGEST_DECLARATION = 200
_LONGEST_END = 100
_JSON_TEXT = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_DOCUMENT_TYPE = re.compile(r"<!DOCTYPE(?!\s+html\b)", re.IGNORECASE)


def is_showplan(text: str) -> bool:
    """True where the text holds the begin of a showplan, whatever stands before it."""
    return any(begin.search(text) for begin in (_START, _ESCAPED, _JSON_ESCAPED))


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
    if "!" in text and _DOCUMENT_TYPE.search(text):
        raise PlanParseError("no readable showplan: it has a document type, which no plan of SQL Server has")
    found = list(_documents(_unquoted(text)))
    if not found:
        raise PlanParseError(_complaint(text))
    return found


def is_whole(document: str) -> bool:
    """True where a document does not just end because the text does."""
    return _END.search(document, max(0, len(document) - _LONGEST_END)) is not None


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
        return _unescaped(text)
    if _DOUBLED.match(text, start.end()):
        return text.replace('""', '"')
    if _IN_JSON.match(text, start.end()):
        return _json_texts(text, _START)
    if _IN_SQL.search(text, max(0, start.start() - _LONGEST_DECLARATION), start.start()):
        return text.replace("''", "'")
    return text


def _unescaped(text: str) -> str:
    """Plans written as the text of another document, some of which escape what is escaped already."""
    if _JSON_ESCAPED.search(text):
        return _json_texts(text, _JSON_ESCAPED)
    for _ in range(_MOST_ESCAPES):
        if not _ESCAPED.search(text):
            return text
        text = unescape(text)
        if _START.search(text):
            return _unquoted(text)
    return text


def _json_texts(text: str, begin: re.Pattern[str]) -> str:
    """The rest of each JSON string in which a plan begins; the text as it is where one is none."""
    found = []
    position = 0
    while start := begin.search(text, position):
        inner = _JSON_TEXT.match(text, start.start())
        try:
            found.append(str(json.loads(f'"{inner.group()}"', strict=False)) if inner else "")
        except ValueError:
            return text
        position = inner.end() if inner else start.end()
    return "\n".join(found)


def _complaint(text: str) -> str:
    if not text.strip("\ufeff \t\r\n"):
        return "no execution plan: the text is empty"
    for sign, what in _NO_PLANS.items():
        if sign in text:
            return f"no showplan: {what}"
    return "no showplan: the text has no element ShowPlanXML; save the plan as .sqlplan"


_STATEMENT = "this is the text of a statement; save its plan as .sqlplan"
_PART = "only a part of a plan; save all of it, from <ShowPlanXML> to </ShowPlanXML>, as .sqlplan"
_WITHOUT = "which holds no plan; look for its statements in the plan cache or Query Store"
_NO_PLANS = {
    "<deadlock": f"this is a deadlock graph, {_WITHOUT}",
    "<blocked-process": f"this is a report of a blocked process, {_WITHOUT}",
    "<event ": "no event in this has a plan; capture query_post_execution_showplan",
    "<BatchSequence": _PART,
    "<StmtSimple": _PART,
    "<RelOp": _PART,
    "<?query": _STATEMENT,
    "<?ClickMe": _STATEMENT,
}
"""By what a text holds that people take for a plan; the first one counts."""
