import codecs
import gzip

import pytest

from dbplanmon_pipeline.core.plans.encoding import plan_text
from dbplanmon_pipeline.errors import PlanParseError

TEXT = '<?xml version="1.0" encoding="utf-16"?><ShowPlanXML a="größe"/>'


@pytest.mark.parametrize(
    "raw",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
    ],
    ids=[
        *("utf-8", "utf-8 marked", "utf-16", "utf-16 big", "utf-16 unmarked", "utf-16 big unmarked"),
        *("utf-32", "utf-32 big"),
    ],
)
def test_bytes_decide_whatever_the_declaration_says(raw):
    assert plan_text(raw) == TEXT


def test_a_declared_code_page_is_used_where_the_bytes_are_no_utf_8():
    text = TEXT.replace("utf-16", "windows-1252")
    assert plan_text(text.encode("windows-1252")) == text


def test_a_line_end_of_one_byte_behind_letters_of_two_does_no_harm():
    assert plan_text(TEXT.encode("utf-16") + b"\n") == TEXT


def test_a_plan_in_an_old_code_page_is_read_without_any_declaration():
    text = "<ShowPlanXML a='größe'/>"
    assert plan_text(text.encode("cp1252")) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (gzip.compress(TEXT.encode(), mtime=0), "packed by gzip; unpack it"),
        (b"PK\x03\x04\x14\0", "ZIP archive or a workbook"),
        (b"7z\xbc\xaf'\x1c", "7z archive"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
    ],
    ids=["gzip", "zip", "7z", "png"],
)
def test_what_holds_a_plan_or_its_picture_is_named(raw, expected):
    with pytest.raises(PlanParseError, match=expected):
        plan_text(raw)


@pytest.mark.parametrize(
    "raw", [b"\xff\xff\x00", b'<?xml version="1.0" encoding="nonsense"?>\xff', codecs.BOM_UTF8 + b"\xff"]
)
def test_what_is_no_text_is_refused(raw):
    with pytest.raises(PlanParseError, match="UTF-8 or UTF-16"):
        plan_text(raw)
