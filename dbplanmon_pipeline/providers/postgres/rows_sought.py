"""From a statement that writes or locks to the SELECT of the rows it looks for.

EXPLAIN wants the rights of the statement it explains. A login that may only read is refused `UPDATE orders SET ...
WHERE ...`, but not `SELECT orders.ctid FROM orders WHERE ...`, and that is the part whose plan changes: how the rows
are found. `ctid` is asked for, as a change needs the rows themselves and no index can give them alone.
"""

from dataclasses import dataclass

from dbplanmon_pipeline.providers.postgres.explainable import COMMENT, OTHER, PARAMETER, SPACE, WORD, Token, tokens_of

WRITING = frozenset({"insert", "update", "delete", "merge"})
_READING = frozenset({"select", "values", "table"})
_LOCKS = (("update",), ("share",), ("no", "key", "update"), ("key", "share"))
_OPENING, _CLOSING = frozenset("(["), frozenset(")]")
_NOWHERE = -1


def rows_sought(text: str, columns: str = "ctid") -> str | None:
    """The SELECT whose plan is that of the search in `text`, parameters numbered anew; None where there is none.

    `UPDATE` and `DELETE` give their condition with what they join, `MERGE` its join, `INSERT` its query; a query that
    locks loses the locks. None for an `INSERT` of values, a cursor's row, and a query that neither writes nor locks.

    Args:
        text: one normalised statement of pg_stat_statements.
        columns: what to ask the written table for: `ctid`, which a view does not have, or `*`.
    """
    reader = _Reader(tokens_of(text))
    reader.unlock()
    start = reader.find(WRITING | _READING, 0) if reader.is_word(0, "with") else 0
    if start == _NOWHERE:
        return None
    search = _SEARCHES[reader.word(start)](reader, start, columns) if reader.word(start) in WRITING else None
    if search is None:
        return _renumbered(reader.tokens) if reader.unlocked and reader.word(start) not in WRITING else None
    return _renumbered([*reader.between(0, start), *search])


@dataclass(frozen=True, slots=True)
class _Target:
    """The table that is written: as FROM takes it, and what is asked of it."""

    item: list[Token]
    columns: list[Token]


class _Reader:
    """A statement by its words and signs (`solid`, without blanks and comments), each with its depth in brackets."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = [(SPACE, " ") if name == COMMENT else (name, text) for name, text in tokens]
        self.unlocked = False
        self._measure()

    def _measure(self) -> None:
        self._solid = [index for index, (name, _) in enumerate(self.tokens) if name != SPACE]
        self._depth: list[int] = []
        depth = 0
        for index in self._solid:
            sign = self.tokens[index][1]
            depth -= sign in _CLOSING
            self._depth.append(depth)
            depth += sign in _OPENING

    @property
    def end(self) -> int:
        return len(self._solid)

    def text(self, place: int) -> str:
        return self.tokens[self._solid[place]][1] if 0 <= place < self.end else ""

    def word(self, place: int) -> str:
        """In lower case; empty for what is no unquoted word."""
        is_word = 0 <= place < self.end and self.tokens[self._solid[place]][0] == WORD
        return self.text(place).lower() if is_word else ""

    def is_word(self, place: int, *wanted: str) -> bool:
        """True where these words follow each other."""
        return all(self.word(place + offset) == one for offset, one in enumerate(wanted))

    def find(self, words: frozenset[str], start: int) -> int:
        """First of these words outside of brackets; `_NOWHERE` where there is none."""
        return next(
            (place for place in range(start, self.end) if not self._depth[place] and self.word(place) in words),
            _NOWHERE,
        )

    def outer(self, start: int) -> list[int]:
        """Places outside of brackets, from `start` on."""
        return [place for place in range(start, self.end) if not self._depth[place]]

    def between(self, start: int, stop: int) -> list[Token]:
        """All tokens from one place up to another, blanks included."""
        if start >= stop:
            return []
        last = self._solid[stop] if stop < self.end else len(self.tokens)
        return self.tokens[self._solid[start] : last]

    def unlock(self) -> None:
        """Take `FOR UPDATE` and its like out, at any depth."""
        place = 0
        while place < self.end:
            lock = next((lock for lock in _LOCKS if self.is_word(place, "for", *lock)), None)
            if lock is None:
                place += 1
                continue
            first, place = place, self._end_of_lock(place + 1 + len(lock))
            for index in self._solid[first:place]:
                self.tokens[index] = (SPACE, " ")
            self.unlocked = True
        if self.unlocked:
            self._measure()

    def _end_of_lock(self, place: int) -> int:
        if self.is_word(place, "of"):
            place = self.end_of_name(place + 1)
            while self.text(place) == ",":
                place = self.end_of_name(place + 1)
        if self.is_word(place, "nowait"):
            place += 1
        return place + 2 if self.is_word(place, "skip", "locked") else place

    def end_of_name(self, place: int) -> int:
        """Behind a name that may be qualified."""
        place += 1
        while self.text(place) == ".":
            place += 2
        return place

    def target(self, start: int, stop: int, columns: str) -> _Target:
        """`[ONLY] name [*] [[AS] alias]`, as UPDATE, DELETE and MERGE name their table."""
        place = start + self.is_word(start, "only")
        place += self.text(place) == "("
        after = self.end_of_name(place)
        reference = self.between(place, after)
        last = stop - 1
        has_alias = last >= after and self.text(last) not in ("*", ")")
        named = self.between(last, stop) if has_alias else reference
        return _Target(self.between(start, stop), [*named, (OTHER, f".{columns}")])


def _of_update(reader: _Reader, start: int, columns: str) -> list[Token] | None:
    changes = reader.find(frozenset({"set"}), start)
    if changes == _NOWHERE:
        return None
    where, stop = _condition(reader, changes)
    joined = next(
        (
            place
            for place in reader.outer(changes)
            if place < where and reader.is_word(place, "from") and not reader.is_word(place - 1, "distinct")
        ),
        where,
    )
    target = reader.target(start + 1, changes, columns)
    return _select(reader, target, reader.between(joined + 1, where), where, stop)


def _of_delete(reader: _Reader, start: int, columns: str) -> list[Token] | None:
    if not reader.is_word(start + 1, "from"):
        return None
    where, stop = _condition(reader, start)
    using = reader.find(frozenset({"using"}), start)
    joined = using if _NOWHERE < using < where else where
    target = reader.target(start + 2, joined, columns)
    return _select(reader, target, reader.between(joined + 1, where), where, stop)


def _condition(reader: _Reader, start: int) -> tuple[int, int]:
    """Where the condition begins, and where the search ends."""
    returning = reader.find(frozenset({"returning"}), start)
    stop = reader.end if returning == _NOWHERE else returning
    where = reader.find(frozenset({"where"}), start)
    return (where if _NOWHERE < where < stop else stop), stop


def _select(reader: _Reader, target: _Target, joined: list[Token], where: int, stop: int) -> list[Token] | None:
    if reader.is_word(where, "where", "current", "of"):
        return None
    others = [(OTHER, ", "), *joined] if joined else []
    return [
        (WORD, "SELECT "),
        *target.columns,
        (OTHER, " FROM "),
        *target.item,
        *others,
        (SPACE, " "),
        *reader.between(where, stop),
    ]


def _of_insert(reader: _Reader, start: int, _: str) -> list[Token] | None:
    query = next((place for place in reader.outer(start + 2) if _begins_query(reader, place)), _NOWHERE)
    if query == _NOWHERE:
        return None
    ends = [
        place
        for place in reader.outer(query)
        if reader.is_word(place, "returning") or reader.is_word(place, "on", "conflict")
    ]
    return reader.between(query, min(ends, default=reader.end))


def _begins_query(reader: _Reader, place: int) -> bool:
    first = place
    while reader.text(first) == "(":
        first += 1
    return reader.word(first) in ("select", "with", "table")


def _of_merge(reader: _Reader, start: int, columns: str) -> list[Token] | None:
    using = reader.find(frozenset({"using"}), start)
    condition = reader.find(frozenset({"on"}), using) if using != _NOWHERE else _NOWHERE
    if condition == _NOWHERE:
        return None
    stop, cases = reader.end, 0
    for place in reader.outer(condition):
        cases += reader.is_word(place, "case") - reader.is_word(place, "end")
        if reader.is_word(place, "when") and not cases:
            stop = place
            break
    target = reader.target(start + 2, using, columns)
    keeps_unmatched = any(reader.is_word(place, "not", "matched") for place in reader.outer(stop))
    return [
        (WORD, "SELECT "),
        *target.columns,
        (OTHER, " FROM "),
        *reader.between(using + 1, condition),
        (WORD, " LEFT JOIN " if keeps_unmatched else " JOIN "),
        *target.item,
        (SPACE, " "),
        *reader.between(condition, stop),
    ]


_SEARCHES = {"update": _of_update, "delete": _of_delete, "insert": _of_insert, "merge": _of_merge}


def _renumbered(tokens: list[Token]) -> str:
    """Parameters counted from 1 without gaps: one that is left out would have no type."""
    numbers = sorted({int(text[1:]) for name, text in tokens if name == PARAMETER})
    new = {f"${number}": f"${place}" for place, number in enumerate(numbers, 1)}
    return "".join(new[text] if name == PARAMETER else text for name, text in tokens).strip()
