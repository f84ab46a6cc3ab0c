"""SVG from escaped parts; the only place that makes markup out of values."""

import math
from collections.abc import Iterable

from markupsafe import Markup, escape

Attribute = str | float | int | None


def element(name: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """One element; an underscore in the name of an attribute stands for a hyphen, a last one is dropped.

    Args:
        name: of our own words.
        children: markup, or text that is escaped.
        attributes: left out where None; figures with two decimals.
    """
    # Plain strings of escaped parts: `Markup.format` takes ten times as long, and a fleet has thousands of elements.
    written = "".join(
        f' {_attribute(key)}="{escape(_value(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = "".join(map(escape, children))
    return Markup(f"<{name}{written}>{inner}</{name}>")  # noqa: S704 - see above


def value_rows(rows: Iterable[tuple[int, Iterable[str]]]) -> Markup:
    """Rows of a table of values, each with its moment [s since 1970], where a chart has hundreds of them."""
    cells = ((at, "".join(f"<td>{escape(cell)}</td>" for cell in row)) for at, row in rows)
    return Markup("").join(Markup(f'<tr data-at="{int(at)}">{row}</tr>') for at, row in cells)  # noqa: S704 - escaped


def number(value: float) -> str:
    """A coordinate: two decimals at most."""
    if not math.isfinite(value):
        raise ValueError("a coordinate must be finite")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _attribute(key: str) -> str:
    return "viewBox" if key == "view_box" else key.rstrip("_").replace("_", "-")


def _value(value: Attribute) -> str:
    return number(value) if isinstance(value, float) else str(value)
