"""Texts of a channel that stand for an address."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from dbplanmon_pipeline.core.alerts.mail_addresses import mail_address
from dbplanmon_pipeline.settings.secret import SecretKind, SecretReference, SecretUrl, refuse_plain


class MailEncryption(StrEnum):
    """How the connection to a mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


def _is_mail_address(value: Any) -> Any:
    if isinstance(value, str):
        mail_address(value)
    return value


def _stays_secret(value: SecretReference, info: ValidationInfo) -> SecretReference:
    """An address whose path is the secret, which no form of it shows."""
    return refuse_plain(replace(value, kind=SecretKind.PLAIN) if value.kind is SecretKind.OPEN else value, info)


def not_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Validator of a list; a lower bound of its length would complain beside each wrong entry.

    Raises:
        ValueError: it has no entry.
    """
    if not values:
        raise ValueError("expected at least one entry")
    return values


MailAddress = Annotated[str, BeforeValidator(_is_mail_address)]
"""`dba@example.net` or `Team DBA <dba@example.net>`."""

HookUrl = Annotated[SecretUrl, AfterValidator(_stays_secret)]
"""A URL that is a secret as a whole; in the settings only by reference in production."""
