"""What a target consists of, and how one of its properties is tried."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.strategies import SearchStrategy

PACKAGE = __name__.rpartition(".")[0]
LONGEST_SECONDS = 1.0


@dataclass(frozen=True)
class Property:
    """Attributes: what is `claimed`, the `inputs` it is tried on, and a `check` that raises where it is not so."""

    claimed: str
    inputs: SearchStrategy[Any]
    check: Callable[[Any], None]


def targets() -> dict[str, tuple[Property, ...]]:
    """The properties of each target by the name of its module."""
    package = import_module(PACKAGE)
    modules = (
        name for _, name, _ in iter_modules(package.__path__) if name != "__main__" and not name.startswith("test_")
    )
    found = {name: getattr(import_module(f"{PACKAGE}.{name}"), "PROPERTIES", ()) for name in modules}
    return {name: properties for name, properties in found.items() if properties}


def attempt(one: Property, examples: int, number: int) -> None:
    """Try the property on so many inputs, other ones for each number.

    Raises:
        Exception: whatever the check raises, on the smallest input that was found for it.
    """

    def checked(value: Any) -> None:
        began = time.process_time()
        one.check(value)
        spent = time.process_time() - began
        assert spent < LONGEST_SECONDS, f"{spent:.1f} s of CPU"

    given(one.inputs)(
        settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.normal,
        )(seed(number)(_named(one.claimed, checked)))
    )()


def _named(claimed: str, check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Hypothesis names what fails after the function."""
    check.__name__ = check.__qualname__ = claimed.replace(" ", "_")
    return check
