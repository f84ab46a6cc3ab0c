"""Whatever a file holds, loading ends with settings or with complaints that each stand on one line with a place."""

import re
import tempfile
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import Settings, load_settings
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.schema import sections_in

LINE = re.compile(r"(dbplanmon\.yaml(:\d+)?|environment variable DBPLANMON_\w+): .+")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["5m", "02:00", "env:X", "a", "", "log", "webhook", "postgres", "sqlserver", "simulated", "a/b"]),
    st.text(max_size=5),
)
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


def _shaped(section: type[Section]):
    """Mappings with the keys of a section, holding what belongs there, or anything."""
    fields = {}
    for name, field in section.model_fields.items():
        below = [_shaped(inner) for inner in sections_in(field.annotation)]
        fields[name] = st.one_of(SCALARS, *below, *(st.lists(one, max_size=2) for one in below), ANY)
    return st.fixed_dictionaries({}, optional=fields)


def _complaints(text):
    """Lines of the error, none where the text loads."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "dbplanmon.yaml").write_text(text, "utf-8")
        try:
            load_settings(environ={}, cwd=Path(folder))
        except SettingsError as error:
            return str(error).splitlines()
    return []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=_shaped(Settings))
def test_loading_ends_with_settings_or_with_placed_lines(document):
    lines = _complaints(yaml.safe_dump(document, allow_unicode=True))

    assert [line for line in lines if not LINE.fullmatch(line)] == []


@settings(max_examples=150, deadline=None)
@given(text=st.text("ab:-{}[],*&!#'\"|>%@ \n\t1", max_size=60))
def test_any_text_ends_with_settings_or_with_placed_lines(text):
    assert [line for line in _complaints(text) if not LINE.fullmatch(line)] == []


def test_the_property_can_fail():
    assert _complaints("collection: {top_n: 0}") != []
    assert LINE.fullmatch("collection.top_n: 0 is not right") is None
