import pytest
from hypothesis import strategies as st

from dbplanmon_pipeline_tests.fuzz.__main__ import main
from dbplanmon_pipeline_tests.fuzz.properties import Property, attempt, targets

FEW = 12
SEED = 1


@pytest.mark.parametrize(
    "one", [pytest.param(one, id=f"{name}: {one.claimed}") for name, found in targets().items() for one in found]
)
def test_the_property_holds_on_a_few_inputs(one):
    attempt(one, FEW, SEED)


def test_a_property_that_does_not_hold_is_found():
    def check(number: int) -> None:
        assert number < 100

    with pytest.raises(AssertionError):
        attempt(Property("numbers are small", st.integers(), check), FEW, SEED)


def test_an_unknown_target_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["nothing"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
