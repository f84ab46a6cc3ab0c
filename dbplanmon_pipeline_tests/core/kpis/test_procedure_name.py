import pytest

from dbplanmon_pipeline.core.kpis.procedure_name import procedure_parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("p", (("p", False),)),
        ("s.p", (("s", False), ("p", False))),
        ("[a.b].[c]]d]", (("a.b", True), ("c]d", True))),
        ('"A b"."c""d"', (("A b", True), ('c"d', True))),
        ("größe.p_1", (("größe", False), ("p_1", False))),
    ],
)
def test_a_name_is_taken_apart(text, parts):
    assert procedure_parts(text) == parts


@pytest.mark.parametrize(
    "text", ["", " p", "p ", "p()", "p 1", "a.b.c", ".p", "p.", "1p", "p;q", "[p", '"p', "[]", "a..b"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="name of a procedure"):
        procedure_parts(text)
