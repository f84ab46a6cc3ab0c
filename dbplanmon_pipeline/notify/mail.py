"""Alerts as mail over SMTP."""

import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from enum import StrEnum
from typing import Any

from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.errors import NotificationError
from dbplanmon_pipeline.notify.http_sender import DEFAULT_TIMEOUT_S, Secret, trusting
from dbplanmon_pipeline.notify.mail_text import mail_of

_LOGGER = logging.getLogger(__name__)


class MailEncryption(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


PORTS = {MailEncryption.STARTTLS: 587, MailEncryption.TLS: 465, MailEncryption.NONE: 25}


class _TimedSession(smtplib.SMTP):
    """A session that is cut after a while: a server that sends a byte now and then outlives every time-out of a read.

    `timeout` bounds the whole; a single wait has a little more, so that there is one way to run out of time.
    """

    def __init__(self, host: str, port: int, *, timeout: float, **extra: Any) -> None:
        self.was_cut = False
        self._timer = threading.Timer(timeout, self._cut)
        self._timer.daemon = True
        self._timer.start()
        try:
            super().__init__(host, port, timeout=timeout * 1.5, **extra)
        except BaseException as error:
            self._timer.cancel()
            if self.was_cut:
                raise TimeoutError from error
            raise

    def _cut(self) -> None:
        self.was_cut = True
        if isinstance(self.sock, socket.socket):
            with suppress(OSError):
                # Not the method of a TLS socket: that one forgets its state under the reader's feet.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        self._timer.cancel()
        super().close()


class _TimedTlsSession(_TimedSession, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class EmailChannel:
    """Sends each alert as one mail with text and HTML.

    A refusal with 4xx, a lost connection and a time-out may pass; a refusal with 5xx is final. One recipient of several
    who is refused is logged as a number: the others have their mail.

    Args:
        name: of the channel.
        host / port: of the mail server; the usual port of the encryption by default.
        sender / to / cc: addresses.
        encryption: STARTTLS and TLS verify the certificate of the server.
        login: user and password, None where the server wants none.
        timeout_s: for the whole sending.
        ca_file: certificates to trust instead of the usual ones.
    """

    def __init__(
        self,
        name: str,
        host: str,
        sender: Address,
        to: Sequence[Address],
        *,
        cc: Sequence[Address] = (),
        port: int | None = None,
        encryption: MailEncryption = MailEncryption.STARTTLS,
        login: tuple[str, Secret] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ca_file: str | None = None,
    ) -> None:
        self._name = name
        self._host, self._port = host, port or PORTS[encryption]
        self._sender, self._to, self._cc = sender, tuple(to), tuple(cc)
        self._encryption, self._login = encryption, login
        self._timeout_s, self._ca_file = timeout_s, ca_file

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """Send one alert.

        Raises:
            NotificationError: not taken; `RetryLater` where trying again can help.
        """
        mail = mail_of(alert, self._sender, self._to, self._cc)
        place = f"{self._host}:{self._port}"
        try:
            session = self._open()
            try:
                self._hand_over(session, mail)
            except (OSError, smtplib.SMTPException) as error:
                if session.was_cut:
                    raise TimeoutError from error
                raise
            finally:
                session.close()
        except NotificationError:
            raise
        except TimeoutError as error:
            raise RetryLater(f"{self._name}: {place} did not answer within {self._timeout_s:g} s") from error
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            # Without its cause: a server may repeat what it was told.
            raise self._failure(place, error) from None

    def _open(self) -> _TimedSession:
        if self._encryption is not MailEncryption.TLS:
            return _TimedSession(self._host, self._port, timeout=self._timeout_s)
        return _TimedTlsSession(self._host, self._port, timeout=self._timeout_s, context=self._trust())

    def _hand_over(self, session: _TimedSession, mail: EmailMessage) -> None:
        session.ehlo_or_helo_if_needed()
        if self._encryption is MailEncryption.STARTTLS:
            session.starttls(context=self._trust())
        if self._login is not None:
            user, password = self._login
            session.login(user, password())
        refused = session.send_message(mail)
        if refused:
            _LOGGER.warning("%s: %d of the recipients were refused", self._name, len(refused))
        # The mail is taken; how the parting goes changes nothing.
        with suppress(OSError, smtplib.SMTPException):
            session.quit()

    def _trust(self) -> ssl.SSLContext:
        return trusting(self._name, self._ca_file) if self._ca_file else ssl.create_default_context()

    def _failure(self, place: str, error: Exception) -> NotificationError:
        said, transient = _reason(error)
        message = f"{self._name}: {place} {said}"
        return RetryLater(message) if transient else NotificationError(message, transient=False)


def _reason(error: Exception) -> tuple[str, bool]:
    """What happened, without a word of the server, and whether it may pass."""
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return _refusal(error)
    if isinstance(error, UnicodeError):
        return "cannot be told these addresses, user or password; they hold letters that SMTP does not know", False
    if isinstance(error, ssl.SSLCertVerificationError):
        return "has a certificate that is not trusted; set ca_file or mend the certificate", True
    if isinstance(error, ConnectionRefusedError | socket.gaierror):
        return "cannot be reached", True
    return f"cut the connection ({type(error).__name__})", True


def _refusal(error: smtplib.SMTPException) -> tuple[str, bool]:
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=recipients):
            codes = {int(code) for code, _ in recipients.values()}
            return f"refused all recipients ({_listed(codes)})", any(code < 500 for code in codes)
        case smtplib.SMTPAuthenticationError(smtp_code=code):
            return f"rejected the login ({code}); check user and password of the channel", int(code) < 500
        case smtplib.SMTPResponseException(smtp_code=code):
            return f"refused the mail ({code})", int(code) < 500
    return "does not offer what the channel asks for (STARTTLS, login or letters of an address)", False


def _listed(codes: set[int]) -> str:
    return ", ".join(str(code) for code in sorted(codes))
