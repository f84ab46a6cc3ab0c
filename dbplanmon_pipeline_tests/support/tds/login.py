"""The first two messages of a client: what it can encrypt, and who it says it is."""

import struct

from dbplanmon_pipeline_tests.support.tds.answers import Login

ENCRYPTION = {"off": 0, "on": 1, "not_sup": 2, "req": 3}
_SMALLEST_PACKET, _LARGEST_PACKET = 512, 32767
_TEXTS = {"host": 36, "user": 40, "app": 48, "server": 52, "library": 60, "database": 68}
_PASSWORD = 44
_READ_ONLY, _EXTENSION, _INTEGRATED = 0x20, 0x10, 0x80


def wanted_encryption(content: bytes) -> int:
    """The client's encryption octet, as in `ENCRYPTION`."""
    at = 0
    while content[at] != 0xFF:
        key: int
        offset: int
        key, offset, _ = struct.unpack_from(">BHH", content, at)
        if key == 1:
            return content[offset]
        at += 5
    return ENCRYPTION["not_sup"]


def agreed_encryption(server: int, client: int) -> int:
    """What the server answers: a client that insists lifts `off` to `on`."""
    return ENCRYPTION["on"] if server == ENCRYPTION["off"] and client == ENCRYPTION["on"] else server


def parse_login(content: bytes) -> Login:
    """The fields of LOGIN7.

    Returns:
        dict with host, user, password, app, server, library, database [str], tds [hex str], packet [bytes],
        features, readonly, integrated [bool].
    """
    version, packet = struct.unpack_from("<II", content, 4)
    login: Login = {name: _field(content, at).decode("utf-16-le") for name, at in _TEXTS.items()}
    login["password"] = _unscrambled(_field(content, _PASSWORD)).decode("utf-16-le")
    login["database"] = login["database"] or "master"
    login["tds"] = hex(version)
    login["packet"] = min(max(packet or 4096, _SMALLEST_PACKET), _LARGEST_PACKET)
    login["integrated"] = bool(content[25] & _INTEGRATED)
    login["readonly"] = bool(content[26] & _READ_ONLY)
    login["features"] = bool(content[27] & _EXTENSION)
    return login


def _field(content: bytes, at: int) -> bytes:
    offset, characters = struct.unpack_from("<HH", content, at)
    return content[offset : offset + 2 * characters]


def _unscrambled(content: bytes) -> bytes:
    turned = [octet ^ 0xA5 for octet in content]
    return bytes((octet << 4 | octet >> 4) & 0xFF for octet in turned)
