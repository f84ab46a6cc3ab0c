"""One part of the fleet: which instances a run reads when several runs share a collection."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_TEXT = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `count`, counted from 1; in texts `2/4`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From `2/4`.

        Raises:
            ValueError: it is no such text, or the number is above the count.
        """
        found = _TEXT.fullmatch(text)
        if found and int(found[1]) <= int(found[2]):
            return cls(int(found[1]), int(found[2]))
        raise ValueError(f"{text!r} is no shard such as 2/4")

    def of(self, instances: Iterable[str]) -> list[str]:
        """Names that fall to this shard.

        They are dealt out in the order of a stable hash: shards differ by one instance at most, and neighbours by
        name, which often share a host, are spread.
        """
        return sorted(sorted(set(instances), key=_order)[self.number - 1 :: self.count])


def shards_of(wanted: int, instances: int) -> list[Shard]:
    """All shards of a collection; never more than there are instances, and none where one run does it all."""
    count = min(wanted, instances)
    return [Shard(number, count) for number in range(1, count + 1)] if count > 1 else []


def _order(instance: str) -> tuple[bytes, str]:
    return hashlib.blake2b(instance.encode(), digest_size=8).digest(), instance
