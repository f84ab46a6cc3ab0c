import pytest

from dbplanmon_pipeline.providers.sqlserver.editions import EngineEdition, feature_level, release_of, version_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("16.0.1000.6", 16_00_1000), ("13.0.5026.0", 13_00_5026), ("10.50.6000.34", 10_50_6000), ("", 0), ("x.y.z", 0)],
)
def test_versions_become_numbers_that_compare(text, number):
    assert version_number(text) == number


def test_releases_are_found_by_their_first_build():
    assert [release_of(level) for level in (13_00_4001, 13_00_5026, 14_00_1000, 15_00_2000, 16_00_4135, 10_50_0)] == [
        *("2016", "2016 SP2", "2016 SP2", "2019", "2022", "")
    ]
    assert feature_level(EngineEdition.MANAGED_INSTANCE, 12_00_2000) == 16_00_1000
