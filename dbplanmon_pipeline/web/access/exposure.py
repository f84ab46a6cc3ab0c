"""A page that more people can reach than its settings protect it from."""

from datetime import datetime

from dbplanmon_pipeline.core.ports.access import AccessStore
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.settings.web import Anonymous, WebSettings
from dbplanmon_pipeline.web.access.hosts import LOOPBACK


def exposure(settings: WebSettings, host: str, store: AccessStore, now: datetime) -> str:
    """What to warn of when the page begins to listen on `host`; empty where nothing is to be said."""
    if host in LOOPBACK or host.startswith("127.") or settings.anonymous is Anonymous.NOBODY:
        return ""
    try:
        nobody_logs_in = not any(token.is_in_force(now) for token in store.tokens())
    except StoreError:
        nobody_logs_in = True
    if not nobody_logs_in:
        return ""
    return (
        f"the status page on {host} asks for no login: whoever reaches it sees statements and plans. "
        "Make tokens with dbplanmon access add, and set web.anonymous to nobody"
    )
