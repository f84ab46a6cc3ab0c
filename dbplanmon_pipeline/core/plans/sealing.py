"""Frozen values, made by the thousand."""

from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Any, TypeVar, cast

_Value = TypeVar("_Value")


def unsealed(frozen: type[_Value]) -> type[_Value]:
    """A constructor of a frozen dataclass with slots that takes less than half the time of its own.

    That one calls `object.__setattr__` for each field. This one assigns to an open twin of the class, which becomes
    the frozen class when all fields are set; what comes out differs in nothing.
    """

    def seal(value: object) -> None:
        value.__class__ = frozen

    open_twin = make_dataclass(
        frozen.__name__,
        [(each.name, each.type, _same_default(each)) for each in fields(cast(Any, frozen))],
        slots=True,
        namespace={"__post_init__": seal},
    )
    return cast(type[_Value], open_twin)


def _same_default(each: "Field[Any]") -> Any:
    if each.default is not MISSING:
        return field(default=each.default)
    return field(default_factory=each.default_factory) if each.default_factory is not MISSING else field()
