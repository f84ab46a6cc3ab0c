"""From the text of a SQL Server plan to its XML elements, with nothing of XML that can do harm."""

import re

from lxml import etree

from dbplanmon_pipeline.errors import PlanParseError

NAMESPACE = "http://schemas.microsoft.com/sqlserver/2004/07/showplan"
MARK = f"{{{NAMESPACE}}}"
"""Stands in front of the name of each element of a showplan."""

MAX_CHARACTERS = 64 * 1024 * 1024

_START = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?ShowPlanXML(?=[\s/>])")
_END = "ShowPlanXML>"
_ILLEGAL = re.compile(r"&#(?:x0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]|[dD][89a-fA-F]\w\w)|0*(?:[0-8]|1[124-9]|2\d|3[01]));")


def is_showplan(text: str) -> bool:
    """True where the text holds the begin of a showplan, whatever stands before it."""
    return _START.search(text) is not None


def showplan_root(text: str) -> etree._Element:
    """The element `ShowPlanXML` of a text; what stands before and after it, such as a wrong declaration, is dropped.

    Raises:
        PlanParseError: no such element, another namespace, damaged XML, a document type, more than MAX_CHARACTERS or
            more than two thousand levels; one line.
    """
    root = _parsed(_document(text))
    if root.tag != f"{MARK}ShowPlanXML":
        raise PlanParseError(f"no showplan: the namespace is not the one SQL Server writes ({NAMESPACE})")
    return root


def _document(text: str) -> bytes:
    if len(text) > MAX_CHARACTERS:
        raise PlanParseError(f"no readable showplan: it has more than {MAX_CHARACTERS:,} characters")
    if not text.strip("\ufeff \t\r\n"):
        raise PlanParseError("no execution plan: the text is empty")
    start = _START.search(text)
    if start is None:
        raise PlanParseError("no showplan: the text has no element ShowPlanXML; save the plan as .sqlplan")
    # One character is looked for much faster than several, and plans hardly ever have these.
    if "!" in text and "<!DOCTYPE" in text:
        raise PlanParseError("no readable showplan: it has a document type, which no plan of SQL Server has")
    end = text.rfind(_END)
    document = text[start.start() : end + len(_END) if end > start.start() else len(text)]
    if "#" in document and "&#" in document:
        document = _ILLEGAL.sub("?", document)
    return document.encode("utf-8", "replace")


def _parsed(document: bytes) -> etree._Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
        collect_ids=False,
        huge_tree=True,
    )
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        # The message of the parser may quote the document.
        raise PlanParseError(
            f"no readable showplan: the XML is damaged, cut off or too deep at line {error.lineno or 1}"
        ) from None
