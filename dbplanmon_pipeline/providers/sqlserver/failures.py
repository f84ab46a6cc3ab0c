"""Translates errors of ODBC into the error tree: the server's own number first, then SQLSTATE, then what is left.

Both drivers give the numbers of the server in the same place, but disagree about SQLSTATE: a lost connection is 08S01
with Microsoft's driver and 01000 with FreeTDS, a refused login 28000 or 42000.
"""

import re
from dataclasses import dataclass

from dbplanmon_pipeline.errors import CannotConnect, FeatureUnavailable, ProviderError
from dbplanmon_pipeline.providers.sqlserver.causes import (
    BY_NUMBER,
    BY_STATE,
    CONNECTING_BY_WORDS,
    FIRST_TO_COUNT,
    HARMLESS_WORDS,
    LOST_BY_NUMBER,
    LOST_BY_STATE,
    LOST_BY_WORDS,
    Cause,
)
from dbplanmon_pipeline.providers.sqlserver.drivers import cannot_load, package_of

_MAX_CHARACTERS = 300
_RECORD_END = re.compile(r" \((-?\d+)\)(?: \(SQL\w+\))?(?=; \[[0-9A-Z]{5}\] |$)")
_RECORD_START = re.compile(r"^(?:\[[^\]]*\] ?)+")
_NO_DRIVER = re.compile(r"Can't open lib '([^']*)'")
_PASSWORD = re.compile(
    r"(?i)\b(pwd|password|client_?secret|access_?token)(\s*=\s*)(\{(?:[^}]|\}\})*\}|'[^']*'|[^;\s]+)"
)


@dataclass(frozen=True, slots=True)
class OdbcRecord:
    """What one diagnostic record of a driver says: number 0 or below comes from the driver, not from the server."""

    number: int
    words: str


def translate(
    error: BaseException, target: str, secrets: tuple[str, ...] = (), *, connecting: bool = False
) -> ProviderError:
    """The expected error that stands for one of pyodbc; it carries the server's number as `native`.

    Args:
        error: of pyodbc, with SQLSTATE and text.
        target: for the message.
        secrets: never to appear in it.
        connecting: true where no session was established yet; then a timeout is an unreachable server.
    """
    state, text = _state_and_text(error)
    if isinstance(error, ValueError | OverflowError):
        # Such an error holds the value itself, so only its kind is told.
        words = f"a value in an answer of the server cannot be read ({type(error).__name__})"
        return ProviderError(words, target=target)
    records = records_of(text)
    record = next((one for one in records if one.number in FIRST_TO_COUNT), None)
    record = record or next((one for one in records if one.number in BY_NUMBER), records[0])
    made = _loading(state, text, target) or _made(state, record, target, secrets, connecting)
    made.native = record.number if record.number > 0 else None
    return made


def native_number(error: BaseException) -> int | None:
    """SQL Server's number of an error that a session raised, for example 300; None where the server gave none."""
    return error.native if isinstance(error, ProviderError) else None


def is_lost(error: ProviderError) -> bool:
    """True where no further statement can be sent after this error."""
    return isinstance(error, CannotConnect)


def records_of(text: str) -> list[OdbcRecord]:
    """The diagnostic records in the text of an error of pyodbc; at least one, with number 0 where none is found."""
    records, begin = [], 0
    for match in _RECORD_END.finditer(text):
        words = _RECORD_START.sub("", text[begin : match.start()].removeprefix("; "))
        records.append(OdbcRecord(int(match[1]), words))
        begin = match.end()
    return records or [OdbcRecord(0, text)]


def scrubbed(message: str, secrets: tuple[str, ...]) -> str:
    """One bounded line without any of the secrets and without password fields."""
    line = " ".join(message.split())
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        line = line.replace(secret, "***")
    return _PASSWORD.sub(r"\1\2***", line)[:_MAX_CHARACTERS]


def _state_and_text(error: BaseException) -> tuple[str, str]:
    """SQLSTATE comes first in errors of the driver, and last in those that pyodbc makes itself."""
    arguments = [str(part) for part in error.args]
    states = [part for part in arguments if re.fullmatch(r"[0-9A-Z]{5}", part)]
    return states[0] if states else "", " ".join(part for part in arguments if part not in states)


def _loading(state: str, text: str, target: str) -> FeatureUnavailable | None:
    """A driver that is there, but cannot be loaded or lacks a library later."""
    if state in ("01000", "IM004", "IM003") and (found := _NO_DRIVER.search(text)):
        return cannot_load(found[1], target)
    if "OpenSSL library could not be loaded" in text:
        return FeatureUnavailable("the ODBC driver needs OpenSSL", target=target, remedy=package_of("libssl"))
    return None


def _made(state: str, record: OdbcRecord, target: str, secrets: tuple[str, ...], connecting: bool) -> ProviderError:
    if cause := _cause_by_number(state, record.number):
        harmless = f": {scrubbed(record.words, secrets)}" if record.number in HARMLESS_WORDS else ""
        return cause.error(target, f"{cause.message} ({record.number}){harmless}")
    if connecting:
        return _unreachable(state, record, target, secrets)
    if cause := BY_STATE.get(state) or BY_STATE.get(state[:2]) or _by_words(LOST_BY_WORDS, record):
        return cause.error(target, f"{cause.message} ({state})")
    # The words of the server may quote values of the data, so the number has to do.
    return ProviderError(
        f"a statement of the monitor failed (SQLSTATE {state or 'unknown'}, error {record.number})",
        target=target,
        remedy="Run dbplanmon check for this instance and report the number.",
    )


def _cause_by_number(state: str, number: int) -> Cause | None:
    if number in BY_NUMBER:
        return BY_NUMBER[number]
    # FreeTDS reports these of its own as warnings; 0x2746 and the like are numbers of the operating system.
    return LOST_BY_NUMBER.get(number) if state in LOST_BY_STATE else None


def _unreachable(state: str, record: OdbcRecord, target: str, secrets: tuple[str, ...]) -> ProviderError:
    if cause := _by_words(CONNECTING_BY_WORDS, record):
        return cause.error(target)
    if state == "28000":
        cause = BY_NUMBER[18456]
        return cause.error(target, f"{cause.message} ({record.number or state})")
    words = scrubbed(record.words, secrets) if record.number <= 0 else f"error {record.number}"
    return CannotConnect(
        f"cannot connect ({state or 'no SQLSTATE'}): {words}", target=target, remedy="Check the server and the network."
    )


def _by_words(table: tuple[tuple[str, Cause], ...], record: OdbcRecord) -> Cause | None:
    return next((cause for pattern, cause in table if re.search(pattern, record.words, re.IGNORECASE)), None)
