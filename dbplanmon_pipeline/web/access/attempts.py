"""How often somebody may fail to log in: per address and over all."""

import math
from collections import OrderedDict
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

WINDOW = timedelta(minutes=5)
PER_ADDRESS = 10
OVER_ALL = 300
MOST_ADDRESSES = 10_000

_ALL = ""


class Attempts:
    """Counts failures in windows of five minutes, in memory; what is forgotten first is the longest ago.

    Tokens cannot be guessed; this keeps the store and the log from those who try. Used by the event loop only, so it
    needs no lock.
    """

    def __init__(
        self, *, per_address: int = PER_ADDRESS, over_all: int = OVER_ALL, addresses: int = MOST_ADDRESSES
    ) -> None:
        self._limits = {True: over_all, False: per_address}
        self._addresses = addresses
        self._counts: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def wait(self, address: str, now: datetime) -> int:
        """Seconds until this address may try again, 0 for now."""
        waits = [self._wait(key, now) for key in (_ALL, _group(address))]
        return math.ceil(max(waits))

    def count(self, address: str, now: datetime) -> None:
        """One attempt, before its outcome is known: a thousand at once must not all get through."""
        for key in (_ALL, _group(address)):
            began, tries = self._current(key, now)
            self._counts[key] = (began, tries + 1)
            self._counts.move_to_end(key)
        while len(self._counts) > self._addresses:
            self._counts.popitem(last=False)

    def forgive(self, address: str, now: datetime) -> None:
        """The attempt was right after all."""
        for key in (_ALL, _group(address)):
            began, tries = self._current(key, now)
            self._counts[key] = (began, max(0, tries - 1))

    def __len__(self) -> int:
        return len(self._counts)

    def _wait(self, key: str, now: datetime) -> float:
        began, tries = self._current(key, now)
        return (began + WINDOW - now).total_seconds() if tries >= self._limits[key == _ALL] else 0.0

    def _current(self, key: str, now: datetime) -> tuple[datetime, int]:
        began, tries = self._counts.get(key, (now, 0))
        return (began, tries) if began <= now < began + WINDOW else (now, 0)


def _group(address: str) -> str:
    """An IPv6 address stands for its /64, which one customer has for himself."""
    try:
        found = ip_address(address)
    except ValueError:
        return "?"
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return str(found)
