"""Which of the names that are found are wanted."""

import re
from collections.abc import Iterable


class NamePatterns:
    """Regular expressions, found anywhere in a name.

    Args:
        include: a name must match one of them where there are any.
        exclude: and none of these, which win.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include = [re.compile(pattern) for pattern in include]
        self._exclude = [re.compile(pattern) for pattern in exclude]

    def accept(self, name: str) -> bool:
        """True for a name that is wanted."""
        included = not self._include or any(pattern.search(name) for pattern in self._include)
        return included and not any(pattern.search(name) for pattern in self._exclude)
