"""The fingerprint of a stored text, in the dialect of the instance it was read from."""

from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint
from dbplanmon_pipeline.settings import Settings


def stored_fingerprint(settings: Settings, instance: str, text: str) -> str:
    """16 hex digits; empty without a text, or where the settings no longer name the instance.

    It is the same whether literals of the text are masked or not, and on every instance of one dialect.
    """
    engine = next((one.engine for one in settings.instances if one.name == instance), None)
    return str(fingerprint(text, Dialect.of(engine))) if text and engine else ""
