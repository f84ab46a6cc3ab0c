"""Labels stay few: the busiest instances and databases by name, all others together."""

from collections.abc import Iterable

NAMED = 50
OTHER = "other"


class Slots:
    """So many names get a label of their own, for the life of the process; later ones share `other`.

    A counter must never fall, so a name that once had its own series keeps it.
    """

    def __init__(self, limit: int = NAMED) -> None:
        self._limit = limit
        self._own: set[str] = set()
        self._is_full = False

    @property
    def names(self) -> set[str]:
        """Every label there is."""
        return self._own | ({OTHER} if self._is_full else set())

    def offer(self, names: Iterable[str]) -> None:
        """Give what is free to these names, the first ones first."""
        for name in names:
            self.label(name)

    def label(self, name: str) -> str:
        """The name itself where it has a slot or takes one, else `other`."""
        if name in self._own:
            return name
        if len(self._own) < self._limit:
            self._own.add(name)
            return name
        self._is_full = True
        return OTHER
