"""From plain specifications to channels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbplanmon_pipeline.core.alerts.mail_addresses import mail_address
from dbplanmon_pipeline.core.ports import Channel
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.notify.apprise import AppriseChannel
from dbplanmon_pipeline.notify.http_sender import Secret
from dbplanmon_pipeline.notify.log import LogChannel
from dbplanmon_pipeline.notify.mail import EmailChannel, MailEncryption
from dbplanmon_pipeline.notify.pagerduty import BASE_URL, PagerDutyChannel
from dbplanmon_pipeline.notify.slack import SlackChannel
from dbplanmon_pipeline.notify.teams import TeamsChannel
from dbplanmon_pipeline.notify.webhook import WebhookChannel


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel as somebody wants it.

    Attributes:
        type: `log`, `webhook`, `email`, `slack`, `teams`, `pagerduty` or `apprise`.
        name: unique among the channels.
        options: keyword arguments of the channel's class, by their names; none for `log`. Secrets (`url`, `secret`,
            `proxy`, `routing_key`, `password`, values of `headers`) are texts, or callables that give them when needed.
    """

    type: str
    name: str
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


def build_channels(specs: Sequence[ChannelSpec]) -> list[Channel]:
    """One channel per specification, in order; nothing is contacted and no secret is resolved.

    Raises:
        SettingsError: unknown types or options, names used twice; all problems at once.
    """
    problems = [problem for spec in specs for problem in _problems(spec)]
    names = [spec.name for spec in specs]
    problems += [f"channel name {name!r} is used twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise SettingsError("alerts.channels: " + "; ".join(problems))
    return [_KINDS[spec.type].build(spec.name, _Options(spec.options)) for spec in specs]


class _Options:
    """Options that were checked, in the types the channels take."""

    def __init__(self, options: Mapping[str, object]) -> None:
        self._options = options

    def get(self, name: str, default: Any = None) -> Any:
        return self._options.get(name, default)

    def secret(self, name: str, default: str | None = None) -> Secret | None:
        value = self._options.get(name) or default
        return None if value is None else _late(value)

    def needed(self, name: str, default: str = "") -> Secret:
        return self.secret(name) or _late(default)

    def http(self) -> dict[str, Any]:
        """What `HttpSender` takes."""
        return {"timeout_s": float(self.get("timeout_s", 10.0)), "ca_file": self.file(), "proxy": self.secret("proxy")}

    def file(self) -> str | None:
        value = self.get("ca_file")
        return str(value) if value else None


def _late(value: object) -> Secret:
    if not callable(value):
        return lambda: str(value)
    return lambda: str(value())


def _log(name: str, options: _Options) -> Channel:
    del options
    return LogChannel(name)


def _webhook(name: str, options: _Options) -> Channel:
    headers = {str(key): _late(value) for key, value in options.get("headers", {}).items()}
    return WebhookChannel(
        name, options.needed("url"), secret=options.secret("secret"), headers=headers, **options.http()
    )


def _email(name: str, options: _Options) -> Channel:
    user = options.get("user")
    return EmailChannel(
        name,
        str(options.get("host")),
        mail_address(str(options.get("sender"))),
        [mail_address(str(text)) for text in options.get("to")],
        cc=[mail_address(str(text)) for text in options.get("cc", ())],
        port=options.get("port"),
        encryption=MailEncryption(options.get("encryption", MailEncryption.STARTTLS)),
        login=(str(user), options.needed("password")) if user else None,
        timeout_s=float(options.get("timeout_s", 10.0)),
        ca_file=options.file(),
    )


def _slack(name: str, options: _Options) -> Channel:
    return SlackChannel(name, options.needed("url"), **options.http())


def _teams(name: str, options: _Options) -> Channel:
    return TeamsChannel(name, options.needed("url"), **options.http())


def _pagerduty(name: str, options: _Options) -> Channel:
    base_url = options.needed("base_url", BASE_URL)
    return PagerDutyChannel(name, options.needed("routing_key"), base_url=base_url, **options.http())


def _apprise(name: str, options: _Options) -> Channel:
    return AppriseChannel(name, options.needed("url"), timeout_s=float(options.get("timeout_s", 30.0)))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one type is built, and which options it takes."""

    build: Callable[[str, _Options], Channel]
    needed: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


_HTTP = frozenset({"timeout_s", "ca_file", "proxy"})
_URL = frozenset({"url"})
_KINDS = {
    "log": _Kind(_log),
    "webhook": _Kind(_webhook, _URL, _HTTP | {"secret", "headers"}),
    "email": _Kind(
        _email,
        frozenset({"host", "sender", "to"}),
        frozenset({"cc", "port", "encryption", "user", "password", "timeout_s", "ca_file"}),
    ),
    "slack": _Kind(_slack, _URL, _HTTP),
    "teams": _Kind(_teams, _URL, _HTTP),
    "pagerduty": _Kind(_pagerduty, frozenset({"routing_key"}), _HTTP | {"base_url"}),
    "apprise": _Kind(_apprise, _URL, frozenset({"timeout_s"})),
}
_SECRETS = ("url", "secret", "proxy", "routing_key", "base_url", "password")


def _problems(spec: ChannelSpec) -> list[str]:
    kind = _KINDS.get(spec.type)
    if kind is None:
        return [f"{spec.name!r} has the unknown type {spec.type!r}; known are {', '.join(sorted(_KINDS))}"]
    unknown = sorted(set(spec.options) - kind.needed - kind.others)
    problems = [f"{spec.name!r} has the unknown option {name!r}" for name in unknown]
    problems += [f"{spec.name!r} needs a {name}" for name in sorted(kind.needed) if not spec.options.get(name)]
    problems += [f"{spec.name!r}: {problem}" for problem in _wrong_values(spec.options)]
    return problems


def _wrong_values(options: Mapping[str, object]) -> list[str]:
    wrong = [name for name in _SECRETS if not _is_secret(options.get(name) or "")]
    problems = [f"{name} must be a text" for name in wrong]
    headers = options.get("headers", {})
    if not isinstance(headers, Mapping) or not all(_is_secret(value) for value in headers.values()):
        problems.append("headers must map names to texts")
    timeout = options.get("timeout_s", 10.0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 60:
        problems.append("timeout_s must be a number above 0 and at most 60")
    addresses = [options.get("sender"), *_texts(options.get("to")), *_texts(options.get("cc"))]
    return problems + [str(problem) for text in addresses if (problem := _address_problem(text))]


def _texts(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else () if value is None else (value,)


def _address_problem(value: object) -> str:
    try:
        mail_address(str(value)) if value is not None else None
    except ValueError as error:
        return str(error)
    return ""


def _is_secret(value: object) -> bool:
    return isinstance(value, str) or callable(value)
