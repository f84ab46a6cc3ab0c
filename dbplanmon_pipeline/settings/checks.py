"""Rules that span several keys; they read the settings as written, so that all of them speak at once.

Each takes plain mappings or built models, passes over what has another type (the field itself complains), and yields
(path, message) with paths relative to what it was given.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationInfo

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.sections import AnalysisSettings, ResilienceSettings, RetentionSettings
from dbplanmon_pipeline.settings.values import parse_duration

Path = tuple[str | int, ...]
Finding = tuple[Path, str]

_ONLY_FOR = {
    ("sslmode",): (Engine.POSTGRES,),
    ("sslrootcert",): (Engine.POSTGRES,),
    ("encrypt",): (Engine.SQLSERVER,),
    ("trust_server_certificate",): (Engine.SQLSERVER,),
    ("host_name_in_certificate",): (Engine.SQLSERVER,),
    ("server_certificate",): (Engine.SQLSERVER,),
    ("application_intent",): (Engine.SQLSERVER,),
    ("multi_subnet_failover",): (Engine.SQLSERVER,),
    ("login", "integrated"): (Engine.SQLSERVER,),
    ("login", "authentication"): (Engine.SQLSERVER,),
    ("options", "driver"): (Engine.SQLSERVER,),
    ("options", "source"): (Engine.SQLSERVER, Engine.SIMULATED),
    ("options", "planner"): (Engine.POSTGRES,),
    ("options", "seed"): (Engine.SIMULATED,),
    ("options", "statements"): (Engine.SIMULATED,),
    ("options", "failing"): (Engine.SIMULATED,),
    ("options", "latency_ms"): (Engine.SIMULATED,),
    ("options", "interval_minutes"): (Engine.SIMULATED,),
    ("options", "flush_seconds"): (Engine.SIMULATED,),
    ("options", "version"): (Engine.SIMULATED,),
    ("databases", "count"): (Engine.SIMULATED,),
}
_DEFAULTS: dict[str, Section] = {
    "resilience": ResilienceSettings(),
    "analysis": AnalysisSettings(),
    "retention": RetentionSettings(),
}
_SERVER_KEYS = ("server", "port", "database", "login")
_HOST_FORBIDDEN = frozenset(";{}=@ ")
_SQLSERVER_PLACE = re.compile(
    r"(?:tcp:)?(?!np:|lpc:|admin:)(?:\[[^\]]+\]|[^\\,\[\]]+)(?:\\[^\\,]+)?(?:,(?P<port>\d{1,5}))?", re.IGNORECASE
)


def refuse(findings: Iterable[Finding], info: ValidationInfo) -> None:
    """Fail on findings, unless the loader has asked for them already.

    Raises:
        ValueError: the first line of each finding, for settings built in code.
    """
    if (info.context or {}).get("checked"):
        return
    if texts := [f"{path_text(path)}: {message}" for path, message in findings]:
        raise ValueError("; ".join(texts))


def path_text(path: Path) -> str:
    """`instances[0].login.password`; characters that would break the line are escaped."""
    text = ""
    for part in path:
        shown = part if isinstance(part, int) else part.encode("unicode_escape").decode("ascii")[:80]
        text += f"[{shown}]" if isinstance(part, int) else f".{shown}" if text else f"{shown}"
    return text


def settings_problems(data: Any) -> Iterator[Finding]:
    """Rules over the whole file."""
    root = _fields(data)
    instances = _items(root.get("instances"))
    for index, instance in enumerate(instances):
        yield from _under(("instances", index), instance_problems(instance))
    for index, kpi in enumerate(_items(root.get("kpis"))):
        yield from _under(("kpis", index), kpi_problems(kpi))
    yield from fleet_problems(root)


def fleet_problems(data: Any) -> Iterator[Finding]:
    """Rules between sections; those within one instance or KPI are apart."""
    root = _fields(data)
    for section in ("instances", "kpis"):
        yield from _under((section,), _repeated_names(_items(root.get(section))))
    channels = [
        {"name": _fields(item).get("type"), **_fields(item)} for item in _items(_at(root, "alerts", "channels"))
    ]
    yield from _under(("alerts", "channels"), _repeated_names(channels))
    yield from _kpi_targets(root)
    yield from _not_above(root, "resilience", "backoff", "max_backoff")
    yield from _not_above(root, "analysis", "window", "lookback")
    yield from _not_above(root, "retention", "intervals", "plans")
    yield from _not_above(root, "retention", "intervals", "statements")


def instance_problems(data: Any) -> Iterator[Finding]:
    """Rules within one instance: keys that fit its engine, a login that can work."""
    instance = _fields(data)
    engine = instance.get("engine")
    if engine not in list(Engine):
        return
    for path, owners in _ONLY_FOR.items():
        if engine not in owners and _at(instance, *path) is not None:
            yield path, f"belongs to engine {' or '.join(owners)}, this instance is {engine}; remove it"
    yield from _server_problems(instance)
    if engine == Engine.SQLSERVER:
        yield from _sqlserver_problems(instance)
    yield from _under(("login",), _login_problems(instance))
    yield from _under(("databases",), _database_problems(instance))


def kpi_problems(data: Any) -> Iterator[Finding]:
    """Rules within one KPI: one statement, something to compare with."""
    kpi = _fields(data)
    if not kpi:
        return
    if ("sql" in kpi) == ("procedure" in kpi):
        yield (), "needs exactly one of sql and procedure"
    limits = [key for key in ("expected", "minimum", "maximum", "deviation_percent") if kpi.get(key) is not None]
    if not limits:
        yield (), "needs at least one of expected, minimum, maximum and deviation_percent"
    if kpi.get("cron") is not None and kpi.get("interval") is not None:
        yield ("cron",), "is set beside interval; remove one of them"
    low, high = kpi.get("minimum"), kpi.get("maximum")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield ("minimum",), "is above maximum"


def _server_problems(instance: Mapping[str, Any]) -> Iterator[Finding]:
    server = instance.get("server")
    if instance["engine"] == Engine.SIMULATED:
        for key in _SERVER_KEYS:
            if instance.get(key) is not None:
                yield (key,), "a simulated instance connects to no server; remove it"
    elif server is None:
        yield ("server",), "is required; write the host name of the server"
    elif isinstance(server, str) and ("://" in server or _HOST_FORBIDDEN & set(server)):
        yield ("server",), "expected the host name alone; user and password go under login"


def _sqlserver_problems(instance: Mapping[str, Any]) -> Iterator[Finding]:
    place = _SQLSERVER_PLACE.fullmatch(str(instance.get("server") or "h"))
    port = instance.get("port")
    if place is None or (place["port"] and not 1 <= int(place["port"]) <= 65_535):
        yield ("server",), r"expected host, host\instance or host,port, with tcp: before it or nothing"
    elif place["port"] and port is not None and str(port) != place["port"]:
        yield ("port",), "contradicts the port in server; remove one of them"
    strict = str(instance.get("encrypt", "")).lower() == "strict"
    trusting = _is_true(instance.get("trust_server_certificate"))
    if instance.get("server_certificate") is not None and not strict:
        yield ("server_certificate",), "is compared with encrypt: strict only; set that or remove the key"
    if trusting and strict:
        yield ("trust_server_certificate",), "encrypt: strict never does this; remove one of them"
    elif trusting and instance.get("host_name_in_certificate") is not None:
        yield ("host_name_in_certificate",), "is not compared with trust_server_certificate: true; remove one of them"


def _login_problems(instance: Mapping[str, Any]) -> Iterator[Finding]:
    login = _fields(instance.get("login"))
    integrated = _is_true(login.get("integrated"))
    if integrated and login.get("authentication") is not None:
        yield (), "integrated: true takes no authentication; remove one of them"
    if integrated and ("user" in login or "password" in login):
        yield (), "integrated: true takes no user and no password; remove them"
    elif "password" in login and "user" not in login:
        yield ("user",), "is required beside a password"
    known = integrated or login.get("authentication") or ("user" in login and "password" in login)
    if instance["engine"] == Engine.SQLSERVER and not known and "password" not in login:
        yield (), "needs user and password, or integrated: true, or authentication"


def _database_problems(instance: Mapping[str, Any]) -> Iterator[Finding]:
    databases = instance.get("databases")
    simulated = instance["engine"] == Engine.SIMULATED
    if not simulated and not isinstance(databases, bool) and str(databases).isdecimal():
        yield (), "a number is for engine simulated; name the databases or write {discover: true}"
    entries = (
        databases if isinstance(databases, list | tuple) else _at({"databases": databases}, "databases", "entries")
    )
    yield from _repeated_names(_items(entries))
    selection = _fields(databases)
    discover = selection.get("discover")
    if isinstance(databases, list | tuple) and not databases:
        yield (), "names no database; name one or write {discover: true}"
    elif isinstance(databases, Mapping) and not discover and not {"entries", "count"} & set(selection):
        yield ("discover",), "must be true here; else write a list of names"
    elif simulated and discover:
        yield ("discover",), "a simulated instance discovers nothing; write how many databases it has"


def _repeated_names(items: Sequence[Any]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        name = item if isinstance(item, str) else _fields(item).get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            path = (index,) if isinstance(item, str) else (index, "name")
            yield path, f"repeats the name of item {seen[name]}; names are unique"
        seen.setdefault(name, index)


def _kpi_targets(root: Mapping[str, Any]) -> Iterator[Finding]:
    written = [_fields(item) for item in _items(root.get("instances"))]
    instances = {item["name"]: item for item in written if isinstance(item.get("name"), str)}
    for index, kpi in enumerate(map(_fields, _items(root.get("kpis")))):
        name = kpi.get("instance")
        if isinstance(name, str) and name not in instances:
            yield ("kpis", index, "instance"), "no instance has this name"
        elif isinstance(name, str) and instances[name].get("engine") == Engine.SQLSERVER:
            yield from _under(("kpis", index), _least_privilege(kpi))


def _least_privilege(kpi: Mapping[str, Any]) -> Iterator[Finding]:
    login = _fields(kpi.get("login"))
    if not _is_true(login.get("least_privilege")):
        what = "SQL Server has no read-only transaction; give the KPI a login that can only read"
        yield ("login",), f"{what}, with least_privilege: true"
    elif "password" not in login:
        yield ("login", "password"), "is required; write where it lies"


def _not_above(root: Mapping[str, Any], section: str, lower: str, upper: str) -> Iterator[Finding]:
    written = _fields(root.get(section))
    try:
        low, high = (parse_duration(written.get(key, getattr(_DEFAULTS[section], key))) for key in (lower, upper))
    except ValueError:
        return
    if low > high:
        yield (section, lower), f"is longer than {section}.{upper}"


def _is_true(value: Any) -> bool:
    return str(value).lower() in ("true", "yes", "on", "1")


def _under(prefix: Path, findings: Iterable[Finding]) -> Iterator[Finding]:
    return ((prefix + path, message) for path, message in findings)


def _fields(value: Any) -> Mapping[str, Any]:
    """What was written, of a mapping or of a model; nothing of anything else."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in value.model_fields_set}
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _at(value: Any, *path: str) -> Any:
    for part in path:
        value = _fields(value).get(part)
    return value
