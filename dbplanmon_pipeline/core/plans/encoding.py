"""From the bytes of a plan file to its text, whatever the file says about itself."""

import codecs
import re

from dbplanmon_pipeline.errors import PlanParseError

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")


def plan_text(raw: bytes) -> str:
    """The text of a plan file.

    The byte order mark decides, then the pattern of NUL bytes, then UTF-8; what the XML declaration says comes last,
    as tools save a plan in one encoding and leave the declaration of another.

    Raises:
        PlanParseError: it is text in none of them; one line.
    """
    for encoding in _guesses(raw):
        try:
            return raw.decode(encoding).removeprefix("\ufeff")
        except (UnicodeDecodeError, LookupError):
            continue
    raise PlanParseError("no execution plan: the file is no text in UTF-8 or UTF-16")


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
    return ["utf-8", *([declared[1].decode("ascii")] if declared else [])]
