"""From the bytes of a plan file to its text, whatever the file says about itself."""

import codecs
import re

from dbplanmon_pipeline.errors import PlanParseError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PACKED = {
    b"PK\x03\x04": "a ZIP archive or a workbook of Excel",
    b"\x1f\x8b": "packed by gzip",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"(\xb5/\xfd": "packed by zstd",
    b"\xfd7zXZ": "packed by xz",
    b"BZh": "packed by bzip2",
}
_PICTURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"%PDF": "PDF", b"GIF8": "GIF"}
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_SIGNS = re.compile(rb'ShowPlanXML|"Node Type"|\(cost=\d')


def plan_text(raw: bytes) -> str:
    """The text of a plan file.

    The byte order mark decides, then the pattern of NUL bytes, then UTF-8; what the XML declaration says comes last,
    as tools save a plan in one encoding and leave the declaration of another.

    Raises:
        PlanParseError: it is text in none of them; one line.
    """
    _refuse_what_is_no_text(raw)
    for encoding in _guesses(raw):
        try:
            return _whole_letters(raw, encoding).decode(encoding).removeprefix("\ufeff")
        except (UnicodeDecodeError, LookupError):
            continue
    raise PlanParseError(
        "no execution plan: the file is no text in UTF-8 or UTF-16; of events (.xel) or a trace (.trc) give the plan, "
        "saved as .sqlplan"
    )


def _refuse_what_is_no_text(raw: bytes) -> None:
    for begin, what in _PACKED.items():
        if raw.startswith(begin):
            raise PlanParseError(f"no execution plan: the file is {what}; unpack it and give the plan in it")
    for begin, what in _PICTURES.items():
        if raw.startswith(begin):
            raise PlanParseError(f"no execution plan: the file is a picture or a page ({what}); give the plan itself")


def _whole_letters(raw: bytes, encoding: str) -> bytes:
    """Without the line end of one byte that tools add to files whose letters have two."""
    return raw[:-1] if encoding.startswith("utf-16") and len(raw) % 2 and raw.endswith(b"\n") else raw


def _guesses(raw: bytes) -> list[str]:
    marked = [encoding for mark, encoding in _MARKS if raw.startswith(mark)]
    if marked:
        return marked
    head = raw[:200]
    if head[1::2].count(0) > len(head) // 4:
        return ["utf-16-le"]
    if head[0::2].count(0) > len(head) // 4:
        return ["utf-16-be"]
    declared = _DECLARED.match(raw)
    if declared:
        return ["utf-8", declared[1].decode("ascii")]
    # What sqlcmd and older tools write; names beyond its letters look odd then, and the plan is there.
    return ["utf-8", "cp1252"] if _SIGNS.search(raw) else ["utf-8"]
