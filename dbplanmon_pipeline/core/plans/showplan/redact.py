"""SQL Server plans without the values of their statements: what may carry one is masked, what is unknown, too."""

import re
from collections.abc import Callable

from lxml import etree

from dbplanmon_pipeline.core.plans.showplan.attributes import is_true, pairs_of
from dbplanmon_pipeline.core.plans.showplan.elements import MARK, showplan_root
from dbplanmon_pipeline.core.plans.showplan.vocabulary import (
    ELEMENTS,
    EXPRESSIONS,
    FLAGS,
    HASHES,
    MOMENTS,
    NAMES,
    NUMBERS,
    SOURCES,
    TYPES,
    VERSIONS,
    WORDS,
)
from dbplanmon_pipeline.core.statements.tsql import MASK, mask_tsql_literals

_NUMBER = re.compile(r"[-+]?\d{1,40}(?:\.\d{1,40})?(?:[eE][-+]?\d{1,3})?")
_FLAG = re.compile(r"0|1|true|false")
_HASH = re.compile(r"0x[0-9a-fA-F]{1,16}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[-+]\d\d:\d\d)?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9 _:/-]{0,99}")
_TYPE = re.compile(
    r"(?:\[[^\[\]']{1,128}\]\.){0,2}(?:\[[^\[\]']{1,128}\]|[A-Za-z_]\w{0,127})(?:\((?:\d{1,5}(?:,\s?\d{1,3})?|max)\))?"
)
_VERSION = re.compile(r"[\d.]{1,40}")
_SOURCE = re.compile(r"[\w$.\\-]{1,128}|<UNKNOWN>")


def redact_showplan(body: str) -> str:
    """The plan in which no attribute carries a value of the statement; it reads as a tree of the same shape.

    Names (tables, columns, indexes), figures of the optimizer and hashes stay. Statements and expressions are read
    token by token and their literals masked. Values of constants and parameters, attributes, elements and texts
    this function does not know are masked whole. Comments and processing instructions go.

    Raises:
        PlanParseError: the text is no showplan.
    """
    root = showplan_root(body)
    quoted = _quoted_names(root)
    # Held in a list, because to let go of an element costs a walk up to the nearest one that is held, or to the root.
    for element in list(root.iter()):
        _redact(element, quoted)
    etree.cleanup_namespaces(root)
    return etree.tostring(root, encoding="unicode")


def _quoted_names(root: etree._Element) -> bool:
    """Double quotes hold names only where every statement says so; they hold strings otherwise."""
    said = [options.get("QUOTED_IDENTIFIER") for options in root.iter(f"{MARK}StatementSetOptions")]
    return bool(said) and all(is_true(value) for value in said)


def _redact(element: etree._Element, quoted_names: bool) -> None:
    known = element.tag in _ELEMENTS
    for name, value in pairs_of(element):
        matches = _MATCHES.get(name) if known else None
        if matches is None or not matches(value):
            kept = mask_tsql_literals(value, quoted_names=quoted_names) if known and name in EXPRESSIONS else MASK
            if kept != value:
                element.set(name, kept)
    if (text := element.text) and not text.isspace():
        element.text = MASK
    if (tail := element.tail) and not tail.isspace():
        element.tail = MASK


_ELEMENTS = frozenset(MARK + name for name in ELEMENTS)
_MATCHES: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(NAMES, lambda _: True),
    **dict.fromkeys(NUMBERS, _NUMBER.fullmatch),
    **dict.fromkeys(FLAGS, _FLAG.fullmatch),
    **dict.fromkeys(HASHES, _HASH.fullmatch),
    **dict.fromkeys(MOMENTS, _MOMENT.fullmatch),
    **dict.fromkeys(WORDS, _WORD.fullmatch),
    **dict.fromkeys(TYPES, _TYPE.fullmatch),
    **dict.fromkeys(VERSIONS, _VERSION.fullmatch),
    **dict.fromkeys(SOURCES, _SOURCE.fullmatch),
}
