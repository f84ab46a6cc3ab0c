"""Parameters of procedure calls as clients send them."""

import datetime as dt
import decimal
import struct
import uuid
from typing import Any

_FIXED = {0x30: "<B", 0x34: "<h", 0x38: "<i", 0x7F: "<q", 0x3B: "<f", 0x3E: "<d", 0x32: "<?"}
_SIZED = {0x24, 0x26, 0x68, 0x6D, 0x6F}
_STRINGS = {0xE7, 0xEF, 0xA7, 0xAF, 0xA5, 0xAD}
_UTF16 = {0xE7, 0xEF, 0x63}
_BINARY = {0xA5, 0xAD, 0x22}
_EPOCH = dt.datetime(1900, 1, 1)  # noqa: DTZ001 - the type has no zone
_FIRST_DAY = dt.datetime.min  # noqa: DTZ901 - the type has no zone
_NOTHING = 0xFFFFFFFFFFFFFFFF


class Reader:
    """Walks over the bytes of one message."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self._content = content
        self._at = at

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            ValueError: the message ends before.
        """
        found = self._content[self._at : self._at + count]
        if len(found) != count:
            raise ValueError("the message ends too early")
        self._at += count
        return found

    def number(self, layout: str) -> Any:
        """The next number, by its `struct` layout."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def text(self, layout: str) -> str:
        """A UTF-16 text after its length in characters."""
        return self.take(2 * self.number(layout)).decode("utf-16-le")

    def peek(self) -> int | None:
        """The next byte, left where it is; None at the end."""
        return self._content[self._at] if self._at < len(self._content) else None

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._content) - self._at)


def parameter(reader: Reader) -> Any:
    """The value that comes next, type description first.

    Raises:
        ValueError: a type no driver under test sends.
    """
    code = reader.number("<B")
    if code == 0x1F:
        return None
    if code in _FIXED:
        return reader.number(_FIXED[code])
    if code in _SIZED:
        return _sized(code, reader)
    if code in {0x6A, 0x6C}:
        return _decimal(reader)
    if code in {0x28, 0x29, 0x2A, 0x2B}:
        return _moment(code, reader)
    if code in _STRINGS:
        return _string(code, reader)
    if code in {0x63, 0x23, 0x22}:
        return _long_string(code, reader)
    if code == 0xF1:
        return _xml(reader)
    raise ValueError(f"parameter type 0x{code:02x} is not known here")


def _sized(code: int, reader: Reader) -> Any:
    reader.number("<B")
    content = reader.take(reader.number("<B"))
    if not content:
        return None
    if code == 0x26:
        return int.from_bytes(content, "little", signed=len(content) > 1)
    if code == 0x68:
        return bool(content[0])
    if code == 0x6D:
        return struct.unpack("<f" if len(content) == 4 else "<d", content)[0]
    if code == 0x24:
        return uuid.UUID(bytes_le=content)
    days, ticks = struct.unpack("<iI" if len(content) == 8 else "<HH", content)
    seconds = ticks / 300 if len(content) == 8 else ticks * 60
    return _EPOCH + dt.timedelta(days=days, seconds=seconds)


def _decimal(reader: Reader) -> decimal.Decimal | None:
    _, _, scale, length = reader.take(4)
    content = reader.take(length)
    if not content:
        return None
    sign = 0 if content[0] else 1
    digits = decimal.Decimal(int.from_bytes(content[1:], "little")).as_tuple().digits
    return decimal.Decimal((sign, digits, -scale))


def _moment(code: int, reader: Reader) -> dt.date | dt.time | dt.datetime | None:
    scale = 0 if code == 0x28 else reader.number("<B")
    content = reader.take(reader.number("<B"))
    if not content:
        return None
    if code == 0x28:
        return _day(content).date()
    if code == 0x29:
        return (_FIRST_DAY + _clock(content, scale)).time()
    if code == 0x2A:
        return _day(content[-3:]) + _clock(content[:-3], scale)
    zone = dt.timezone(dt.timedelta(minutes=struct.unpack("<h", content[-2:])[0]))
    utc = _day(content[-5:-2]) + _clock(content[:-5], scale)
    return utc.replace(tzinfo=dt.UTC).astimezone(zone)


def _day(content: bytes) -> dt.datetime:
    return _FIRST_DAY + dt.timedelta(days=int.from_bytes(content, "little"))


def _clock(content: bytes, scale: int) -> dt.timedelta:
    ticks = int.from_bytes(content, "little")
    return dt.timedelta(microseconds=ticks * 10 ** (6 - scale) if scale <= 6 else ticks // 10)


def _string(code: int, reader: Reader) -> str | bytes | None:
    longest = reader.number("<H")
    if code not in _BINARY:
        reader.take(5)
    if longest == 0xFFFF:
        return _decoded(code, _chunks(reader))
    length = reader.number("<H")
    return None if length == 0xFFFF else _decoded(code, reader.take(length))


def _long_string(code: int, reader: Reader) -> str | bytes | None:
    reader.number("<i")
    if code not in _BINARY:
        reader.take(5)
    length = reader.number("<i")
    return None if length < 0 else _decoded(code, reader.take(length))


def _xml(reader: Reader) -> str | None:
    if reader.number("<B"):
        raise ValueError("XML parameters with a schema are not known here")
    content = _chunks(reader)
    return None if content is None else content.decode("utf-16")


def _chunks(reader: Reader) -> bytes | None:
    if reader.number("<Q") == _NOTHING:
        return None
    parts = []
    while length := reader.number("<I"):
        parts.append(reader.take(length))
    return b"".join(parts)


def _decoded(code: int, content: bytes | None) -> str | bytes | None:
    if content is None or code in _BINARY:
        return content
    return content.decode("utf-16-le" if code in _UTF16 else "cp1252")
