import codecs

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
    ],
    ids=["utf-8", "utf-8 marked", "utf-16", "utf-16 big", "utf-16 unmarked", "utf-16 big unmarked"],
)
def test_bytes_decide_whatever_the_declaration_says(raw):
    assert plan_text(raw) == TEXT


def test_a_declared_code_page_is_used_where_the_bytes_are_no_utf_8():
    text = TEXT.replace("utf-16", "windows-1252")
    assert plan_text(text.encode("windows-1252")) == text


@pytest.mark.parametrize(
    "raw", [b"\xff\xff\x00", b'<?xml version="1.0" encoding="nonsense"?>\xff', codecs.BOM_UTF8 + b"\xff"]
)
def test_what_is_no_text_is_refused(raw):
    with pytest.raises(PlanParseError, match="UTF-8 or UTF-16"):
        plan_text(raw)
