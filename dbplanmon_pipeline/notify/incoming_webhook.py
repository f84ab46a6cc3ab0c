"""What the chats with an incoming webhook have in common: one address, one JSON body, an idempotency key."""

from dbplanmon_pipeline.core.ports import Alert, Clock
from dbplanmon_pipeline.notify.http_sender import DEFAULT_TIMEOUT_S, HttpSender, Secret, utc_now


class IncomingWebhook:
    """POSTs each alert to one address; a subclass says what stands in the body.

    Args:
        name: of the channel.
        url: of the webhook; its path or query is the secret.
        timeout_s / ca_file / proxy: see `HttpSender`.
    """

    def __init__(
        self,
        name: str,
        url: Secret,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ca_file: str | None = None,
        proxy: Secret | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._name = name
        self._url = url
        self._sender = HttpSender(name, timeout_s=timeout_s, ca_file=ca_file, proxy=proxy, clock=clock)

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """POST one alert.

        Raises:
            NotificationError: not taken; `RetryLater` where trying again can help.
        """
        self._sender.post(self._url, self.body(alert), {"Idempotency-Key": alert.alert_id})

    def body(self, alert: Alert) -> bytes:
        """The alert as JSON, in the form of the chat."""
        raise NotImplementedError
