"""Hashes as SQL Server sends them, eight bytes, in the forms of the house."""


def signed(value: bytes | None) -> int:
    """A signed 64-bit number, most significant byte first; 0 for NULL, the unknown hash."""
    return int.from_bytes(value, "big", signed=True) if value else 0


def hex_text(value: bytes | None) -> str:
    """16 hex digits; zeros for NULL."""
    return (value or b"").hex().rjust(16, "0")
