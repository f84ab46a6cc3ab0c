"""Alerts through any service the library Apprise knows, by its URL."""

import logging
import threading
import warnings
from typing import Any

from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.errors import NotificationError
from dbplanmon_pipeline.notify.http_sender import Secret
from dbplanmon_pipeline.notify.message import Tone, message_of

DEFAULT_TIMEOUT_S = 30.0
_BODY_CHARACTERS = 10_000
_TYPES = {Tone.GOOD: "success", Tone.CALM: "info", Tone.WARNING: "warning", Tone.DANGER: "failure"}
_TALKATIVE = ("apprise", "requests", "urllib3", "urllib3.connectionpool")


class AppriseChannel:
    """Hands each alert to Apprise. What that library does not tell stays unknown: every failure may pass.

    Args:
        name: of the channel.
        url: of the service, as Apprise writes it; all of it is a secret.
        timeout_s: for the whole sending.
    """

    def __init__(self, name: str, url: Secret, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._name = name
        self._url = url
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """Send one alert.

        Raises:
            NotificationError: not taken; `RetryLater` where trying again can help.
        """
        service = self._service()
        message = message_of(alert)
        body = "\n".join([message.headline, "", *message.lines, *([message.link] if message.link else [])])
        parts = {"title": message.title, "body": body.strip()[:_BODY_CHARACTERS] or message.title}
        taken: list[bool] = []

        def deliver() -> None:
            try:
                taken.append(bool(service.notify(**parts, notify_type=_TYPES[message.tone], body_format="text")))
            # A plugin is foreign code whose words may hold the URL.
            except Exception:  # noqa: BLE001 - see above
                taken.append(False)

        worker = threading.Thread(target=deliver, name="apprise", daemon=True)
        worker.start()
        worker.join(self._timeout_s)
        if not taken:
            raise RetryLater(f"{self._name}: the service did not answer within {self._timeout_s:g} s")
        if not taken[0]:
            raise RetryLater(f"{self._name}: the service did not take the message; check the url of the channel")

    def _service(self) -> Any:
        library = _library(self._name)
        service = library.Apprise(asset=library.AppriseAsset(app_id="dbplanmon", async_mode=False))
        with warnings.catch_warnings():
            # Its plugins are imported here, one of them through a module Python is about to drop.
            warnings.simplefilter("ignore", DeprecationWarning)
            is_known = service.add(self._url().strip())
        if not is_known:
            message = f"{self._name}: Apprise knows no such url; check the settings"
            raise NotificationError(message, transient=False)
        return service


def _library(name: str) -> Any:
    try:
        import apprise  # noqa: PLC0415 - optional extra, wanted only here
    except ImportError:
        message = f"{name}: apprise is not installed; pip install 'dbplanmon-pipeline[apprise]'"
        raise NotificationError(message) from None
    for logger in _TALKATIVE:
        # They name whole URLs, which are the secrets.
        logging.getLogger(logger).setLevel(logging.CRITICAL + 1)
    return apprise
