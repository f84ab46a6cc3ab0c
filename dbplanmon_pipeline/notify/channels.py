"""From plain specifications to channels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dbplanmon_pipeline.core.ports import Channel
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.notify.log import LogChannel
from dbplanmon_pipeline.notify.webhook import Secret, WebhookChannel


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel as somebody wants it.

    Attributes:
        type: `log` or `webhook`.
        name: unique among the channels.
        options: none for `log`; for `webhook` `url` (needed), `secret`, `headers`, `timeout_s`, `ca_file`, `proxy`.
            Secrets (`url`, `secret`, `proxy`, values of `headers`) are texts, or callables that give them when needed.
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
    return [_BUILDERS[spec.type](spec) for spec in specs]


def _problems(spec: ChannelSpec) -> list[str]:
    if spec.type not in _BUILDERS:
        return [f"{spec.name!r} has the unknown type {spec.type!r}; known are {', '.join(sorted(_BUILDERS))}"]
    unknown = sorted(set(spec.options) - _OPTIONS[spec.type])
    problems = [f"{spec.name!r} has the unknown option {name!r}" for name in unknown]
    if spec.type == "webhook":
        problems += _webhook_problems(spec)
    return problems


def _webhook_problems(spec: ChannelSpec) -> list[str]:
    problems = [] if spec.options.get("url") else [f"{spec.name!r} needs a url"]
    wrong = [name for name in ("url", "secret", "proxy") if not _is_secret(spec.options.get(name, ""))]
    problems += [f"{spec.name!r}: {name} must be a text" for name in wrong]
    headers = spec.options.get("headers", {})
    if not isinstance(headers, Mapping) or not all(_is_secret(value) for value in headers.values()):
        problems.append(f"{spec.name!r}: headers must map names to texts")
    timeout = spec.options.get("timeout_s", 10.0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 60:
        problems.append(f"{spec.name!r}: timeout_s must be a number above 0 and at most 60")
    return problems


def _is_secret(value: object) -> bool:
    return isinstance(value, str) or callable(value)


def _log(spec: ChannelSpec) -> Channel:
    return LogChannel(spec.name)


def _webhook(spec: ChannelSpec) -> Channel:
    options = spec.options
    headers = options.get("headers", {})
    named = headers.items() if isinstance(headers, Mapping) else ()
    timeout, ca_file = options.get("timeout_s", 10.0), options.get("ca_file")
    return WebhookChannel(
        spec.name,
        _late(options["url"]),
        secret=_late(options["secret"]) if options.get("secret") else None,
        headers={str(key): _late(value) for key, value in named},
        timeout_s=float(timeout) if isinstance(timeout, int | float) else 10.0,
        ca_file=str(ca_file) if ca_file else None,
        proxy=_late(options["proxy"]) if options.get("proxy") else None,
    )


def _late(value: object) -> Secret:
    if not callable(value):
        return lambda: str(value)
    return lambda: str(value())


_BUILDERS: dict[str, Callable[[ChannelSpec], Channel]] = {"log": _log, "webhook": _webhook}
_OPTIONS = {
    "log": frozenset[str](),
    "webhook": frozenset({"url", "secret", "headers", "timeout_s", "ca_file", "proxy"}),
}
