"""What every expression of every template goes through."""

from typing import Any

from markupsafe import Markup

from dbplanmon_pipeline.core.plain_words import visible


def shown(value: Any) -> Any:
    """For `finalize` of Jinja: foreign text may not turn the page around, or hold what nobody sees."""
    if isinstance(value, Markup):
        return Markup(visible(value))  # noqa: S704 - what was safe stays so
    return visible(value) if isinstance(value, str) else value
