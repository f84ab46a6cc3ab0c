"""Attribute values of a showplan: names, figures, flags and hashes in the many spellings of many versions."""

import math
from functools import lru_cache

from lxml import etree

from dbplanmon_pipeline.core.model import hash_int


def pairs_of(element: etree._Element) -> list[tuple[str, str]]:
    """Attributes of an element parsed from text, which are text, too."""
    return element.items()  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """`Orders` for `[Orders]`; a name without brackets stays. A plan says the same few names again and again."""
    return name[1:-1].replace("]]", "]") if name[:1] == "[" and name[-1:] == "]" else name


def figure_of(text: str | None) -> float | None:
    """A finite number (`0.5`, `8.07e-005`), else None."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_true(text: str | None) -> bool:
    """Both spellings of true, `1` and `true`."""
    return text in ("1", "true")


def hash_of(text: str | None) -> int:
    """Signed 64-bit hash; 0 where it is missing or no hash. Versions that drop leading zeros are read right."""
    try:
        return hash_int(text or "")
    except ValueError:
        return 0
