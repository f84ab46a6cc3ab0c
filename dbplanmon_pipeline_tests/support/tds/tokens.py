"""The tokens of a server's response."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dbplanmon_pipeline_tests.support.tds.answers import Result, ServerError
from dbplanmon_pipeline_tests.support.tds.outgoing import COLLATION, Encoding, encoding

DONE, DONE_PROCEDURE, DONE_IN_PROCEDURE = 0xFD, 0xFE, 0xFF
MORE, FAILED, COUNTED, ATTENTION = 0x01, 0x02, 0x10, 0x20
_ERROR, _INFO = 0xAA, 0xAB
_NULLABLE_READ_ONLY = 0x0009
_VERSION = bytes([16, 0, 0x10, 0x07])
_DATABASE, _LANGUAGE, _PACKET_SIZE, _COLLATION = 1, 2, 4, 7
SELECT, UPDATE = 0xC1, 0xC5


def short_text(text: str) -> bytes:
    """Text after its length in one byte."""
    return bytes([len(text)]) + text.encode("utf-16-le")


def done(code: int = DONE, status: int = 0, count: int = 0, command: int = SELECT) -> bytes:
    """The end of one answer; clients tell a count of changed rows from one of rows sent by the `command`."""
    return struct.pack("<BHHQ", code, status, command, count)


def failure(error: ServerError) -> bytes:
    """An error message."""
    return _message(_ERROR, error)


def columns(result: Result, encodings: Sequence[Encoding]) -> bytes:
    """The description of a result's columns; every one may be NULL."""
    described = [
        struct.pack("<IH", 0, _NULLABLE_READ_ONLY) + kind.type_info + short_text(name)
        for (name, _), kind in zip(result.columns, encodings, strict=True)
    ]
    return struct.pack("<BH", 0x81, len(described)) + b"".join(described)


def rows(records: Iterable[Sequence[Any]], encodings: Sequence[Encoding]) -> Iterator[bytes]:
    """Each row of a result."""
    coders = [(kind.encode, kind.null) for kind in encodings]
    for record in records:
        yield b"\xd1" + b"".join(
            [null if value is None else encode(value) for value, (encode, null) in zip(record, coders, strict=True)]
        )


def encodings_of(result: Result) -> list[Encoding]:
    """The encoding of each column."""
    return [encoding(sqltype) for _, sqltype in result.columns]


def welcome(database: str, packet_size: int, *, features: bool) -> bytes:
    """What follows an accepted login."""
    parts = [
        database_changed(database, "master"),
        _changed(_COLLATION, b"\x05" + COLLATION),
        _changed(_LANGUAGE, short_text("us_english")),
        _message(_INFO, ServerError(5703, "Changed language setting to us_english.", 0)),
        _token(0xAD, b"\x01\x74\x00\x00\x04" + short_text("Microsoft SQL Server") + _VERSION),
        _changed(_PACKET_SIZE, short_text(str(packet_size)), short_text("4096")),
        b"\xae\xff" if features else b"",
        done(),
    ]
    return b"".join(parts)


def database_changed(new: str, old: str) -> bytes:
    """The connection now works in another database."""
    told = _message(_INFO, ServerError(5701, f"Changed database context to '{new}'.", 0, 2))
    return _changed(_DATABASE, short_text(new), short_text(old)) + told


def prelogin(encryption: int) -> bytes:
    """The server's side of the first exchange."""
    options = [(0, _VERSION + b"\0\0"), (1, bytes([encryption])), (2, b"\0"), (3, b""), (4, b"\0")]
    at = 5 * len(options) + 1
    head, body = b"", b""
    for key, value in options:
        head += struct.pack(">BHH", key, at + len(body), len(value))
        body += value
    return head + b"\xff" + body


def transaction_began(number: int) -> bytes:
    """A transaction and its descriptor."""
    return _changed(8, b"\x08" + struct.pack("<Q", number)) + done()


def transaction_ended(number: int, *, committed: bool) -> bytes:
    """A transaction is over."""
    return _changed(9 if committed else 10, b"\0", b"\x08" + struct.pack("<Q", number)) + done()


def return_status() -> bytes:
    """A procedure returned 0."""
    return b"\x79\0\0\0\0"


def return_handle(handle: int) -> bytes:
    """The number of a statement just prepared."""
    return struct.pack("<BHBBIHBBBi", 0xAC, 0, 0, 1, 0, 0, 0x26, 4, 4, handle)


def _token(code: int, body: bytes) -> bytes:
    return struct.pack("<BH", code, len(body)) + body


def _changed(kind: int, new: bytes, old: bytes = b"\0") -> bytes:
    return _token(0xE3, bytes([kind]) + new + old)


def _message(code: int, said: ServerError) -> bytes:
    text = said.message.encode("utf-16-le")
    head = struct.pack("<iBBH", said.number, said.state, said.severity, len(text) // 2)
    tail = short_text("tds-test") + short_text(said.procedure) + struct.pack("<i", said.line)
    return _token(code, head + text + tail)
