"""Values of result columns as TDS sends them: type description, encoder and the bytes of NULL."""

import datetime as dt
import decimal
import functools
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

COLLATION = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS
_NULL_LARGE = b"\xff" * 8
_CHUNK_BYTES = 1 << 20
_EPOCH = dt.datetime(1900, 1, 1)  # noqa: DTZ001 - the type has no zone
_INTEGERS = {"tinyint": (1, "<BB"), "smallint": (2, "<Bh"), "int": (4, "<Bi"), "bigint": (8, "<Bq")}
_FLOATS = {"real": (4, "<Bf"), "float": (8, "<Bd")}


@dataclass(frozen=True)
class Encoding:
    """How one column travels."""

    type_info: bytes
    encode: Callable[[Any], bytes]
    null: bytes = b"\0"


@functools.cache
def encoding(sqltype: str) -> Encoding:
    """The encoding of a type as T-SQL writes it: `bigint`, `decimal(18,4)`, `nvarchar(max)`, `datetime2(3)`.

    Raises:
        ValueError: a type this server does not send.
    """
    base, _, rest = sqltype.lower().strip().rstrip(")").partition("(")
    sizes = [word.strip() for word in rest.split(",") if word.strip()]
    for family in (_number, _characters, _bytes, _moment, _other):
        if found := family(base.strip(), sizes):
            return found
    raise ValueError(f"type {sqltype!r} cannot be sent")


def _number(base: str, sizes: list[str]) -> Encoding | None:
    if base in _INTEGERS:
        width, layout = _INTEGERS[base]
        return Encoding(bytes([0x26, width]), lambda value: struct.pack(layout, width, int(value)))
    if base in _FLOATS:
        width, layout = _FLOATS[base]
        return Encoding(bytes([0x6D, width]), lambda value: struct.pack(layout, width, float(value)))
    if base == "bit":
        return Encoding(b"\x68\x01", lambda value: b"\x01\x01" if value else b"\x01\x00")
    if base in {"decimal", "numeric"}:
        precision, scale = (int(sizes[0]), int(sizes[1]) if len(sizes) > 1 else 0) if sizes else (18, 0)
        code = 0x6A if base == "decimal" else 0x6C
        return Encoding(bytes([code, 17, precision, scale]), lambda value: _decimal(value, scale))
    return None


def _characters(base: str, sizes: list[str]) -> Encoding | None:
    if base == "sysname":
        base, sizes = "nvarchar", ["128"]
    if base not in {"nvarchar", "nchar", "varchar", "char"}:
        return None
    unicode = base.startswith("n")
    encode = _utf16 if unicode else _ansi
    if sizes == ["max"]:
        return Encoding(
            (b"\xe7" if unicode else b"\xa7") + b"\xff\xff" + COLLATION, lambda v: large(encode(v)), _NULL_LARGE
        )
    length = int(sizes[0]) if sizes else 1
    code = {"nvarchar": 0xE7, "nchar": 0xEF, "varchar": 0xA7, "char": 0xAF}[base]
    info = struct.pack("<BH", code, length * (2 if unicode else 1)) + COLLATION
    if base.endswith("varchar"):
        return Encoding(info, lambda value: _short(encode(value)), b"\xff\xff")
    return Encoding(info, lambda value: _short(encode(value.ljust(length))), b"\xff\xff")


def _bytes(base: str, sizes: list[str]) -> Encoding | None:
    if base not in {"varbinary", "binary"}:
        return None
    if sizes == ["max"]:
        return Encoding(b"\xa5\xff\xff", lambda value: large(bytes(value)), _NULL_LARGE)
    length = int(sizes[0]) if sizes else 1
    if base == "binary":
        info = struct.pack("<BH", 0xAD, length)
        return Encoding(info, lambda value: _short(bytes(value).ljust(length, b"\0")), b"\xff\xff")
    return Encoding(struct.pack("<BH", 0xA5, length), lambda value: _short(bytes(value)), b"\xff\xff")


def _moment(base: str, sizes: list[str]) -> Encoding | None:
    if base == "datetime":
        return Encoding(b"\x6f\x08", _datetime)
    if base == "smalldatetime":
        return Encoding(b"\x6f\x04", _smalldatetime)
    if base == "date":
        return Encoding(b"\x28", lambda value: b"\x03" + _days(value))
    scale = int(sizes[0]) if sizes else 7
    if base == "time":
        return Encoding(bytes([0x29, scale]), lambda value: _counted(_clock(value, scale)))
    if base == "datetime2":
        return Encoding(bytes([0x2A, scale]), lambda value: _counted(_clock(value, scale) + _days(value)))
    if base == "datetimeoffset":
        return Encoding(bytes([0x2B, scale]), lambda value: _counted(_with_offset(value, scale)))
    return None


def _other(base: str, _sizes: list[str]) -> Encoding | None:
    if base == "xml":
        return Encoding(b"\xf1\x00", lambda value: large(_utf16(value)), _NULL_LARGE)
    if base == "uniqueidentifier":
        return Encoding(b"\x24\x10", lambda value: b"\x10" + uuid.UUID(str(value)).bytes_le)
    if base == "sql_variant":
        return Encoding(struct.pack("<Bi", 0x62, 8009), _variant, b"\0\0\0\0")
    return None


def large(content: bytes) -> bytes:
    """A value of a (max) type: total length, chunks, end."""
    chunks = [content[at : at + _CHUNK_BYTES] for at in range(0, len(content), _CHUNK_BYTES)]
    return b"".join([struct.pack("<Q", len(content)), *(struct.pack("<I", len(c)) + c for c in chunks), b"\0\0\0\0"])


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


def _ansi(text: str) -> bytes:
    return text.encode("cp1252")


def _short(content: bytes) -> bytes:
    return struct.pack("<H", len(content)) + content


def _counted(content: bytes) -> bytes:
    return bytes([len(content)]) + content


def _decimal(value: Any, scale: int) -> bytes:
    with decimal.localcontext(prec=60):
        digits = int(decimal.Decimal(value).scaleb(scale).to_integral_value(decimal.ROUND_HALF_EVEN))
    return bytes([17, 0 if digits < 0 else 1]) + abs(digits).to_bytes(16, "little")


def _days(value: dt.date) -> bytes:
    return (value.toordinal() - 1).to_bytes(3, "little")


def _clock(value: dt.time | dt.datetime, scale: int) -> bytes:
    microseconds = (value.hour * 3600 + value.minute * 60 + value.second) * 1_000_000 + value.microsecond
    ticks = microseconds * 10 if scale == 7 else microseconds // 10 ** (6 - scale)
    return ticks.to_bytes(3 if scale <= 2 else 4 if scale <= 4 else 5, "little")


def _with_offset(value: dt.datetime, scale: int) -> bytes:
    offset = value.utcoffset() or dt.timedelta(0)
    utc = value.replace(tzinfo=None) - offset
    return _clock(utc, scale) + _days(utc) + struct.pack("<h", int(offset.total_seconds() // 60))


def _datetime(value: dt.datetime) -> bytes:
    since = value - _EPOCH
    days, ticks = since.days, round((since.seconds + since.microseconds / 1e6) * 300)
    days, ticks = (days + 1, 0) if ticks == 86400 * 300 else (days, ticks)
    return struct.pack("<BiI", 8, days, ticks)


def _smalldatetime(value: dt.datetime) -> bytes:
    since = value - _EPOCH
    return struct.pack("<BHH", 4, since.days, since.seconds // 60)


def _variant(value: Any) -> bytes:
    if isinstance(value, bool | int):
        body = struct.pack("<BBq", 0x7F, 0, value) if abs(value) >= 1 << 31 else struct.pack("<BBi", 0x38, 0, value)
    else:
        text = _utf16(str(value))
        body = struct.pack("<BB", 0xE7, 7) + COLLATION + struct.pack("<H", 8000) + text
    return struct.pack("<I", len(body)) + body
